"""How many crops the ranges needed to settle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.ranges import Ranges

__all__ = ["SETTLED_WITHIN", "Convergence", "convergence_of"]

SETTLED_WITHIN = 0.05  # a step of INT8 that is 5 % off is 0.4 dB


@dataclass(frozen=True, slots=True)
class Convergence:
    """How the ranges after some crops compare with those after all.

    Attributes:
        settled_at: The smallest number of crops, of those in `crop_counts`, from which on no range
            was further than `SETTLED_WITHIN` from its last value. If it is the last number, more
            crops might have moved the ranges still.
        crop_counts: After how many crops ranges were compared; the last is all.
        worst_change: Largest relative deviation of a range from its last value, for each.
        worst_tensor: Where it was, for each.
    """

    settled_at: int
    crop_counts: tuple[int, ...]
    worst_change: tuple[float, ...]
    worst_tensor: tuple[str, ...]

    @property
    def has_settled(self) -> bool:
        """Whether crops were left over when the ranges had settled."""
        return self.settled_at < self.crop_counts[-1]


def convergence_of(ranges: Ranges) -> Convergence:
    """Return how many of the crops the ranges needed."""
    names = sorted(ranges.amax)
    last = np.array([ranges.amax[name] for name in names])
    counts = tuple(snapshot.crop_count for snapshot in ranges.snapshots)
    changes = [_changes(np.array(snapshot.amax), last) for snapshot in ranges.snapshots]
    worst = [float(change.max(initial=0.0)) for change in changes]
    unsettled = [
        count for count, change in zip(counts, worst, strict=True) if change > SETTLED_WITHIN
    ]
    settled_at = min(count for count in counts if count > max(unsettled, default=0))
    tensors = [names[int(change.argmax())] if names else "" for change in changes]
    return Convergence(settled_at, counts, tuple(worst), tuple(tensors))


def _changes(now: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return relative deviations; a range that is 0 in the end never was anything else."""
    return np.abs(now - last) / np.where(last > 0, last, 1.0)
