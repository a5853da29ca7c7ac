"""How many times as fast one candidate is as another, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RatioInterval", "ratio_of"]

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365)  # Student's t, 97.5 %, 1 to 7 degrees


@dataclass(frozen=True, slots=True)
class RatioInterval:
    """A ratio and its 95 % interval."""

    value: float
    low: float
    high: float


def ratio_of(
    baseline_ms: Sequence[NDArray[np.float64]], candidate_ms: Sequence[NDArray[np.float64]]
) -> RatioInterval:
    """Return baseline by candidate with its interval: above 1, the candidate is faster.

    The two took turns, so a slow minute slows down both and leaves the ratio of a round. A launch,
    which is a start of both processes, counts by the median of its rounds. Where memory and threads
    came to lie in it, all its rounds share: only other launches tell how much that matters, so the
    interval is Student's t of the logarithms of the launches, however many rounds they have. The
    value is their geometric mean.

    Args:
        baseline_ms: By launch, 2 to 8, ``(R,)``: the median of each round, R from 1 up.
        candidate_ms: By launch, ``(R,)``, the same rounds.

    Raises:
        ValueError: If the rounds are not the same, there is none, or the launches are too few or
            too many.

    Source: Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013: repeat what
    varies at the highest level, and take the interval over its means.
    """
    shapes = [[each.shape for each in own] for own in (baseline_ms, candidate_ms)]
    if shapes[0] != shapes[1] or any(len(shape) != 1 or not shape[0] for shape in shapes[0]):
        raise ValueError(f"both need the same rounds, got {shapes[0]} and {shapes[1]}")
    degrees = len(baseline_ms) - 1
    if not 1 <= degrees <= len(_T):
        raise ValueError(f"an interval needs 2 to {len(_T) + 1} launches, got {degrees + 1}")
    pairs = zip(baseline_ms, candidate_ms, strict=True)
    logs = np.array([math.log(np.median(ours / theirs)) for ours, theirs in pairs])  # (L,)
    middle = float(logs.mean())
    reach = _T[degrees - 1] * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return RatioInterval(math.exp(middle), math.exp(middle - reach), math.exp(middle + reach))
