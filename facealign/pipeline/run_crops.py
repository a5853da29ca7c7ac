"""Run a graph on any number of crops, and time one beside another."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from facealign.pipeline.judge import RunCrops
from facealign.runtime.ort_engine import OrtEngine

__all__ = ["graph_runner", "speed_ratios"]

_MAX_BATCH = 8
_ROUNDS = 15


def graph_runner(data: bytes, *, integer_kernels: bool = True) -> RunCrops:
    """Return what gives the landmarks of an ONNX file, in batches; it is opened when it is run.

    Args:
        data: An ONNX file of ours.
        integer_kernels: As in `OrtEngine`.
    """

    def run(crops: NDArray[np.uint8]) -> NDArray[np.floating]:
        with closing(_engine(data, integer_kernels=integer_kernels)) as engine:
            starts = range(0, len(crops), _MAX_BATCH)
            parts = [engine.run(crops[i : i + _MAX_BATCH])["landmarks"] for i in starts]
        return np.concatenate(parts)

    return run


def speed_ratios(slow: bytes, others: Iterable[bytes], crop: NDArray[np.uint8]) -> list[float]:
    """Return how many times as fast as one ONNX file each of the others is, here and with one crop.

    It takes turns with each, so that a busy machine slows down both; a ratio is that of medians.

    Args:
        slow: The one that counts as 1; it is opened once.
        others: One of them is open at a time.
        crop: ``(1, S, S, 3)`` uint8 BGR.
    """
    with closing(_engine(slow)) as first:
        return [_ratio(first, other, crop) for other in others]


def _ratio(first: OrtEngine, other: bytes, crop: NDArray[np.uint8]) -> float:
    with closing(_engine(other)) as second:
        times = [(_seconds(first, crop), _seconds(second, crop)) for _ in range(_ROUNDS + 1)]
    medians = np.median(times[1:], axis=0)  # the first turn warms up
    return float(medians[0] / medians[1])


def _engine(data: bytes, *, integer_kernels: bool = True) -> OrtEngine:
    return OrtEngine(
        data,
        input_name="image",
        output_names=["landmarks"],
        max_batch=_MAX_BATCH,
        integer_kernels=integer_kernels,
    )


def _seconds(engine: OrtEngine, crop: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    engine.run(crop)
    return time.perf_counter() - started
