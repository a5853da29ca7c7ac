"""The largest share of a network in a reduced precision that a budget allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["CostedBlock", "Loss", "Search", "Trial", "largest_share"]


class CostedBlock(Protocol):
    """A part of a network that is reduced, or not, as a whole."""

    @property
    def name(self) -> str:
        """Its name, unlike any other's."""

    @property
    def share(self) -> float:
        """Its multiply-accumulates as a fraction of the network's, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a reduction costs; NaN never fits and sorts as the worst.

    Attributes:
        change: What the budget bounds, in its unit.
        drift: Distance of the landmarks to those of FP32, in any unit; it orders the blocks, as it
            is less noisy than a difference of errors.
    """

    change: float
    drift: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One choice of blocks, measured.

    Attributes:
        left: Names of the blocks that stay as they are, the most sensitive first.
        share: Of the multiply-accumulates, in the reduced precision, 0 to 1.
        loss: What that costs.
    """

    left: tuple[str, ...]
    share: float
    loss: Loss


@dataclass(frozen=True, slots=True)
class Search:
    """What came of a search.

    Attributes:
        chosen: The trial with the largest share that fits; None if there is none.
        trials: All that were measured, the largest share first.
        alone: By block, the loss with nothing but that block reduced, the most sensitive per
            multiply-accumulate first; empty if everything fitted at once.
    """

    chosen: Trial | None
    trials: tuple[Trial, ...]
    alone: Mapping[str, Loss] = field(default_factory=dict)


def largest_share(
    blocks: Sequence[CostedBlock],
    measure: Callable[[tuple[str, ...]], Loss],
    *,
    budget: float,
    least_share: float = 0.0,
    measure_alone: Callable[[tuple[str, ...]], Loss] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Search:
    """Return the largest share that keeps a budget, among nested choices.

    With everything reduced first. If that does not fit, each block is reduced alone, and blocks are
    taken out one after the other, those with the most drift per multiply-accumulate first. The
    order does not depend on the budget, so a larger budget never gives a smaller share.

    Args:
        blocks: All that can be reduced.
        measure: The loss with these blocks left as they are, and all others reduced.
        budget: The largest change that fits.
        least_share: A smaller share is not worth a graph of its own.
        measure_alone: Used instead of `measure` where only the order of the blocks is asked for,
            which takes fewer faces.
        progress: Told what is measured next.
    """
    total = sum(block.share for block in blocks)
    if not blocks or total < least_share:
        return Search(None, ())
    progress(f"all {len(blocks)} blocks")
    trials = [Trial((), total, measure(()))]
    if _fits(trials[0], budget):
        return Search(trials[0], tuple(trials))
    alone = _alone(blocks, measure_alone or measure, progress)
    for trial_left in _prefixes(alone):
        share = total - sum(block.share for block in blocks if block.name in trial_left)
        if share < least_share or share <= 0:
            break
        progress(f"all but {len(trial_left)} blocks")
        trials.append(Trial(trial_left, share, measure(trial_left)))
        if _fits(trials[-1], budget):
            return Search(trials[-1], tuple(trials), alone)
    return Search(None, tuple(trials), alone)


def _fits(trial: Trial, budget: float) -> bool:
    return trial.loss.change <= budget  # NaN is never


def _alone(
    blocks: Sequence[CostedBlock],
    measure: Callable[[tuple[str, ...]], Loss],
    progress: Callable[[str], None],
) -> dict[str, Loss]:
    """Return the loss of each block alone, the most sensitive per multiply-accumulate first."""
    names = tuple(block.name for block in blocks)
    found = []
    for block in blocks:
        progress(f"{block.name} alone")
        loss = measure(tuple(name for name in names if name != block.name))
        drift = math.inf if math.isnan(loss.drift) else loss.drift
        found.append((-drift / max(block.share, 1e-12), block.name, loss))
    return {name: loss for _, name, loss in sorted(found, key=lambda each: each[:2])}


def _prefixes(names: Iterable[str]) -> Iterable[tuple[str, ...]]:
    taken: tuple[str, ...] = ()
    for name in names:
        taken = (*taken, name)
        yield taken
