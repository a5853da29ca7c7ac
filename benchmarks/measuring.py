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
    "median_interval",
    "operator_profile",
    "ort_runner",
    "peak_gflops",
    "ratio_interval",
    "take_turns",
]

_RUNS_OF_TURN = 3
_PROFILE_SECONDS, _PEAK_SECONDS = 3.0, 2.0
_SEED = 0
_RESAMPLES = 2000
_INTERVAL_PERCENT = (2.5, 97.5)


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
    return median_interval(slow / fast)


def median_interval(rounds: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median of some rounds and its 95 % interval, within this one process.

    It is a bootstrap over blocks of rounds one after the other, as those share what the machine was
    doing: single rounds would pretend to know more. What another start of the process brings, it
    cannot know; `facealign bench` starts several.

    Args:
        rounds: ``(R,)``, in the order in which they were measured, R from 1 up.

    Source: circular block bootstrap, Politis and Romano 1992; blocks of R ** (1/3).
    """
    medians = np.median(rounds[_block_picks(len(rounds))], axis=1)
    low, high = np.percentile(medians, _INTERVAL_PERCENT)
    return float(np.median(rounds)), float(low), float(high)


def _block_picks(count: int) -> NDArray[np.int64]:
    """Return ``(_RESAMPLES, count)`` indices of rounds: blocks from random places, end to end."""
    length = max(1, round(count ** (1 / 3)))
    blocks = -(-count // length)
    rng = np.random.default_rng(_SEED)
    starts = rng.integers(0, count, (_RESAMPLES, blocks, 1))
    picks = (starts + np.arange(length)) % count
    return picks.reshape(_RESAMPLES, -1)[:, :count]


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
