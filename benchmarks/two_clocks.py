"""Times by the clock and by the processor, for what takes microseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["turns_by_both_clocks"]

_RUNS_OF_TURN = 3


def turns_by_both_clocks(
    candidates: Mapping[str, Callable[[], object]], *, rounds: int
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Return milliseconds of the clock and of the processor, one per round and candidate.

    As `take_turns` of measuring.py has it, but for the processor's time, which other processes on
    the machine hardly change.
    """
    wall = {name: np.zeros(rounds) for name in candidates}
    processor = {name: np.zeros(rounds) for name in candidates}
    for number in range(rounds):
        for name, candidate in candidates.items():
            candidate()  # what the candidate before left in the caches and threads is not its own
            both = np.array([_run_ms(candidate) for _ in range(_RUNS_OF_TURN)])
            wall[name][number], processor[name][number] = np.median(both, axis=0)
    return wall, processor


def _run_ms(candidate: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    candidate()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - processor)
