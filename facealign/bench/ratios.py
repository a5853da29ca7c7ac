"""How many times as fast one candidate is as another, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RatioInterval", "median_interval", "ratio_of"]

_SEED = 0
_RESAMPLES = 2000
_INTERVAL_PERCENT = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """A ratio and its 95 % interval."""

    value: float
    low: float
    high: float


def ratio_of(baseline_ms: NDArray[np.float64], candidate_ms: NDArray[np.float64]) -> RatioInterval:
    """Return the median over the rounds of baseline by candidate: above 1, the candidate is faster.

    The two took turns, so a slow minute slows down both and leaves their ratio. The interval is a
    bootstrap over blocks of rounds one after the other, as those share what the machine was doing:
    single rounds would pretend to know more.

    Args:
        baseline_ms: ``(R,)``, the median of each round, R from 1 up.
        candidate_ms: ``(R,)``, the same rounds.

    Raises:
        ValueError: If the rounds are not the same, or there is none.

    Source: circular block bootstrap, Politis and Romano 1992; blocks of R ** (1/3).
    """
    if baseline_ms.shape != candidate_ms.shape or baseline_ms.ndim != 1 or not len(baseline_ms):
        raise ValueError(
            f"both need the same rounds, got {baseline_ms.shape} and {candidate_ms.shape}"
        )
    return RatioInterval(*median_interval(baseline_ms / candidate_ms))


def median_interval(rounds: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median of some rounds and its 95 % interval, as `ratio_of` has it.

    Args:
        rounds: ``(R,)``, in the order in which they were measured, R from 1 up.
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
