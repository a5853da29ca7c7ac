"""How many crops the ranges needed to settle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.ranges import Ranges

__all__ = ["SETTLED_WITHIN", "Convergence", "convergence_of", "text_of_convergence"]

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
        unsettled_count: How many ranges were further than `SETTLED_WITHIN` from it, for each.
        tensor_count: Ranges in all.
    """

    settled_at: int
    crop_counts: tuple[int, ...]
    worst_change: tuple[float, ...]
    worst_tensor: tuple[str, ...]
    unsettled_count: tuple[int, ...]
    tensor_count: int

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
    moving = tuple(int((change > SETTLED_WITHIN).sum()) for change in changes)
    unsettled = [count for count, still in zip(counts, moving, strict=True) if still]
    return Convergence(
        settled_at=min(count for count in counts if count > max(unsettled, default=0)),
        crop_counts=counts,
        worst_change=tuple(float(change.max(initial=0.0)) for change in changes),
        worst_tensor=tuple(names[int(change.argmax())] if names else "" for change in changes),
        unsettled_count=moving,
        tensor_count=len(names),
    )


def text_of_convergence(convergence: Convergence) -> str:
    """Return how many crops were needed, in one line for people.

    What moved last is named: the place to look at where one tensor keeps the others waiting.
    """
    every = convergence.crop_counts[-1]
    if every == 1:
        return "one crop does not tell whether ranges have settled; give some hundred"
    within = f"{SETTLED_WITHIN:.0%}".replace("%", " %")
    before = [count for count in convergence.crop_counts if count < convergence.settled_at]
    moved = _moved(convergence, len(before) - 1) if before else ""
    if convergence.has_settled:
        text = f"ranges settled within {within} after {convergence.settled_at} of {every} crops"
        return f"{text} ({moved})" if moved else text
    return f"ranges have not settled within {within} in {every} crops ({moved}); give more"


def _moved(convergence: Convergence, index: int) -> str:
    count, worst = convergence.crop_counts[index], convergence.worst_change[index]
    return (
        f"after {count}, {convergence.unsettled_count[index]} of {convergence.tensor_count} were "
        f"off, `{convergence.worst_tensor[index]}` the most by {100 * worst:.0f} %"
    )


def _changes(now: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return relative deviations; a range that is 0 in the end never was anything else."""
    return np.abs(now - last) / np.where(last > 0, last, 1.0)
