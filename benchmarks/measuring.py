"""How every benchmark measures: candidates take turns in one run, and only ratios are reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facealign.bench.ratios import ratio_of
from facealign.pipeline.machine_roof import best_gflops
from facealign.runtime.ort_profile import operator_times, profile_graph

__all__ = [
    "operator_profile",
    "ort_runner",
    "peak_gflops",
    "ratio_interval",
    "take_turns",
]

_RUNS_OF_TURN = 3
_PROFILE_SECONDS, _PEAK_SECONDS = 3.0, 2.0


def take_turns(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, NDArray[np.float64]]:
    """Return times in milliseconds, one per round and candidate, after a round that warms up.

    A turn is some runs in a row, of which the first is dropped and the median of the others counts:
    the worker threads of the candidate before spin on for some milliseconds, and take a core from
    it.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(1 + rounds):
        for name, candidate in candidates.items():
            elapsed_ms = [_run_ms(candidate, clock) for _ in range(1 + _RUNS_OF_TURN)][1:]
            if number:
                times[name].append(float(np.median(elapsed_ms)))
    return {name: np.array(values) for name, values in times.items()}


def _run_ms(candidate: Callable[[], object], clock: Callable[[], float]) -> float:
    started = clock()
    candidate()
    return 1e3 * (clock() - started)


def ratio_interval(
    slow: NDArray[np.float64], fast: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return how many times as fast one is, and the 95 % interval, by the rounds of both."""
    found = ratio_of(slow, fast)
    return found.value, found.low, found.high


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
