"""How every benchmark measures: candidates take turns in one run, and only ratios are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facealign.pipeline.machine_roof import best_gflops
from facealign.runtime.ort_profile import operator_times, profile_graph

__all__ = [
    "operator_profile",
    "ort_runner",
    "peak_gflops",
    "ratio_interval",
    "take_turns",
]

_SEED = 0
_BOOTSTRAP = 2000
_RUNS_OF_TURN = 3
_PROFILE_SECONDS, _PEAK_SECONDS = 3.0, 2.0


def take_turns(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, NDArray[np.float64]]:
    """Return times in milliseconds, one per round and candidate.

    A turn is some runs in a row, of which the first is dropped and the median of the others counts:
    the worker threads of the candidate before spin on for some milliseconds, and take a core from
    it.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(warm_up + rounds):
        for name, candidate in candidates.items():
            elapsed_ms = [_run_ms(candidate) for _ in range(1 + _RUNS_OF_TURN)][1:]
            if number >= warm_up:
                times[name].append(float(np.median(elapsed_ms)))
    return {name: np.array(values) for name, values in times.items()}


def _run_ms(candidate: Callable[[], object]) -> float:
    started = time.perf_counter()
    candidate()
    return 1e3 * (time.perf_counter() - started)


def ratio_interval(
    slow: NDArray[np.float64], fast: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the ratio of the medians, and its 95 % interval by a bootstrap over rounds."""
    rng = np.random.default_rng(_SEED)
    picks = rng.integers(0, len(slow), (_BOOTSTRAP, len(slow)))
    ratios = np.median(slow[picks], axis=1) / np.median(fast[picks], axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(np.median(slow) / np.median(fast)), float(low), float(high)


def ort_runner(
    graph: bytes, feed: NDArray[np.generic], *, threads: int, outputs: list[str] | None = None
) -> Callable[[], object]:
    """Return a function that runs a graph once in ONNX Runtime on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(outputs, {name: feed})


def operator_profile(graph: bytes, feed: NDArray[np.generic], *, threads: int) -> dict[str, float]:
    """Return milliseconds per run by operator as ONNX Runtime names them, the largest first."""
    times = operator_times(profile_graph(graph, feed, threads=threads, seconds=_PROFILE_SECONDS))
    return {name: round(value, 2) for name, value in times.items()}


def peak_gflops(*, threads: int) -> float:
    """Return the best rate of matrix products in ONNX Runtime: the roof of this run."""
    return best_gflops(threads=threads, seconds=_PEAK_SECONDS)
