"""Choose from labelled items so that every prefix of the choice has the labels of the whole."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

__all__ = ["stratified"]

_FEWEST = 4  # of each label, if there are so many and room for them
_Combination = frozenset[str]
_Trait = tuple[bool, _Combination]
"""Labels that an item has, and whether it has no others."""


def stratified(labels: Sequence[frozenset[str]], groups: Sequence[object], count: int) -> list[int]:
    """Return the indices of `count` items, or of all if there are fewer, in the order of choice.

    One item after the other is taken, the one that leaves the least sum of squares, over every
    label, every pair and every whole combination of labels, of how many items the choice has too
    many or too few. So the first 16 are as even as all. Two rules stand above that: a group gives a
    second item only when all have given one, and the last places are kept for labels that have
    fewer than 4 (or than `count` has room for). Where items are alike the first is taken.

    All arithmetic is that of integers: the choice is the same on every machine.

    Args:
        labels: Of each item, none or more.
        groups: What each item is a part of, such as its image.
        count: 1 or more.

    Source: the idea, but not the algorithm, of iterative stratification (Sechidis et al., ECML
        PKDD 2011), and of pairs of labels in it (Szymanski and Kajdanowicz, LIDTA 2017).
    """
    pool, tally = _Pool(labels, groups), _Tally(labels)
    room = min(count, len(labels))
    names = sorted({name for each in labels for name in each})
    fewest = max(1, min(_FEWEST, room // (2 * max(1, len(names)))))
    chosen: list[int] = []
    while len(chosen) < room:
        first = pool.first_of_each()
        urgent = tally.urgent_label(names, fewest, room - len(chosen))
        eligible = [each for each in first if urgent is None or urgent in each]
        best = min(eligible, key=lambda each: (first[each][0], tally.excess(each), first[each][1]))
        chosen.append(pool.take(best))
        tally.add(best)
    return chosen


class _Pool:
    """The items that are left, by combination of labels."""

    def __init__(self, labels: Sequence[_Combination], groups: Sequence[object]) -> None:
        self._groups = groups
        self._taken: Counter[object] = Counter()
        self._heaps: dict[_Combination, list[tuple[int, int]]] = {}
        for index, combination in enumerate(labels):
            self._heaps.setdefault(combination, []).append((0, index))

    def first_of_each(self) -> dict[_Combination, tuple[int, int]]:
        """Return how often its group was taken from, and the index, of the next of each kind."""
        for heap in self._heaps.values():
            self._refresh(heap)
        return {combination: heap[0] for combination, heap in self._heaps.items() if heap}

    def take(self, combination: _Combination) -> int:
        """Remove the next item of a kind, and return its index."""
        _, index = heapq.heappop(self._heaps[combination])
        self._taken[self._groups[index]] += 1
        return index

    def _refresh(self, heap: list[tuple[int, int]]) -> None:
        """Bring the right item to the top: others of its group were taken since it was put in."""
        while heap:
            known, index = heap[0]
            taken = self._taken[self._groups[index]]
            if known == taken:
                return
            heapq.heapreplace(heap, (taken, index))


@dataclass(slots=True)
class _Tally:
    """How often each trait was chosen, and how often there is one."""

    labels: Sequence[_Combination]
    total: Counter[_Trait] = field(init=False)
    chosen: Counter[_Trait] = field(default_factory=Counter)
    count: int = 0

    def __post_init__(self) -> None:
        self.total = Counter(trait for each in self.labels for trait in _traits(each))

    def add(self, combination: _Combination) -> None:
        self.count += 1
        self.chosen.update(_traits(combination))

    def excess(self, combination: _Combination) -> int:
        """Return how much the sum of squares would grow, of all terms that tell kinds apart.

        With F items in all, the deviation of a trait after n choices is ``F * chosen - n * total``,
        which is F times that in items. Another item of the trait adds F to it.
        """
        size, after = len(self.labels), self.count + 1
        return sum(
            2 * (size * self.chosen[trait] - after * self.total[trait]) + size
            for trait in _traits(combination)
        )

    def urgent_label(self, names: Iterable[str], fewest: int, room: int) -> str | None:
        """Return the rarest label that lacks items, if there is no room left to wait for them."""
        trait = {name: (False, frozenset({name})) for name in names}
        lacking = {
            name: min(self.total[each], fewest) - self.chosen[each] for name, each in trait.items()
        }
        wanted = [name for name, lack in lacking.items() if lack > 0]
        if sum(lacking[name] for name in wanted) < room or not wanted:
            return None
        return min(wanted, key=lambda name: (self.total[trait[name]], name))


@lru_cache(maxsize=1024)
def _traits(combination: _Combination) -> tuple[_Trait, ...]:
    names = sorted(combination)
    parts = [*combinations(names, 1), *combinations(names, 2)]
    return (*((False, frozenset(part)) for part in parts), (True, combination))
