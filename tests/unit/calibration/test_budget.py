from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facealign.calibration import Loss, Search, largest_share

Left = tuple[str, ...]
QUICK = settings(deadline=None, max_examples=60)


@dataclass(frozen=True)
class Part:
    """A block."""

    name: str
    share: float


@dataclass
class Network:
    """Blocks, each of which adds what it costs; it remembers what was measured."""

    blocks: tuple[Part, ...]
    costs: Mapping[str, float]
    noise: float = 0.0
    asked: list[Left] = field(default_factory=list)

    def measure(self, left: Left) -> Loss:
        self.asked.append(left)
        drift = sum(cost for name, cost in self.costs.items() if name not in left)
        # Any table of losses will do, as long as it does not change: here some wobble.
        wobble = self.noise * math.sin(len(left) + sum(map(len, left)))
        return Loss(drift + wobble, drift)


def network(shares: Sequence[float], costs: Sequence[float], *, noise: float = 0.0) -> Network:
    blocks = tuple(Part(f"b{'x' * i}", share) for i, share in enumerate(shares))
    named = {block.name: cost for block, cost in zip(blocks, costs, strict=True)}
    return Network(blocks, named, noise)


def search(parts: Network, *, budget: float, least_share: float = 0.0) -> Search:
    return largest_share(parts.blocks, parts.measure, budget=budget, least_share=least_share)


def share_of(found: Search) -> float:
    return 0.0 if found.chosen is None else found.chosen.share


@st.composite
def networks(draw: st.DrawFn) -> Network:
    count = draw(st.integers(1, 7))
    numbers = st.lists(st.floats(0.01, 1.0), min_size=count, max_size=count)
    total = draw(st.floats(0.1, 1.0))
    shares = draw(numbers)
    scaled = [total * share / sum(shares) for share in shares]
    return network(scaled, draw(numbers), noise=draw(st.floats(0.0, 1.0)))


@QUICK
@given(parts=networks(), budgets=st.tuples(st.floats(-1, 8), st.floats(-1, 8)))
def test_largest_share_is_monotone_in_the_budget(
    parts: Network, budgets: tuple[float, float]
) -> None:
    small, large = (search(parts, budget=budget) for budget in sorted(budgets))

    assert share_of(small) <= share_of(large)


@QUICK
@given(parts=networks(), budget=st.floats(-1, 8), least=st.floats(0, 1))
def test_largest_share_chooses_what_fits_and_is_worth_it(
    parts: Network, budget: float, least: float
) -> None:
    found = search(parts, budget=budget, least_share=least)

    fitting = [trial for trial in found.trials if trial.loss.change <= budget]
    assert fitting == ([] if found.chosen is None else [found.chosen])
    assert all(trial.share >= least for trial in found.trials)


@QUICK
@given(parts=networks(), budget=st.floats(-1, 8))
def test_largest_share_measures_every_choice_once(parts: Network, budget: float) -> None:
    found = search(parts, budget=budget)

    assert len(parts.asked) == len(found.trials) + len(found.alone)
    assert len({trial.left for trial in found.trials}) == len(found.trials)


@QUICK
@given(parts=networks(), budget=st.floats(-1, 8))
def test_largest_share_gives_the_same_twice(parts: Network, budget: float) -> None:
    assert search(parts, budget=budget) == search(parts, budget=budget)


@QUICK
@given(parts=networks(), budgets=st.tuples(st.floats(-1, 8), st.floats(-1, 8)))
def test_largest_share_has_one_order_for_all_budgets(
    parts: Network, budgets: tuple[float, float]
) -> None:
    first, second = (search(parts, budget=budget) for budget in budgets)

    lefts = sorted([[trial.left for trial in found.trials] for found in (first, second)], key=len)
    assert lefts[1][: len(lefts[0])] == lefts[0]


@QUICK
@given(parts=networks(), budget=st.floats(-1, 8))
def test_trials_are_nested_and_state_their_share(parts: Network, budget: float) -> None:
    found = search(parts, budget=budget)

    shares = {block.name: block.share for block in parts.blocks}
    lefts = [trial.left for trial in found.trials]
    assert lefts == [tuple(found.alone)[:count] for count in range(len(lefts))]
    assert [trial.share for trial in found.trials] == pytest.approx(
        [sum(shares.values()) - sum(shares[name] for name in left) for left in lefts]
    )


def test_everything_at_once_costs_one_measurement() -> None:
    parts = network([0.5, 0.4], [1, 2])

    found = search(parts, budget=3)

    assert parts.asked == [()]
    assert share_of(found) == pytest.approx(0.9)
    assert found.alone == {}


def test_the_most_sensitive_per_product_is_left_first() -> None:
    parts = network([0.6, 0.1, 0.3], [3, 1, 1])  # 5, 10 and 3.3 per share

    found = search(parts, budget=1)

    assert list(found.alone) == ["bx", "b", "bxx"]
    assert found.chosen is not None
    assert found.chosen.left == ("bx", "b")


def test_equally_sensitive_blocks_are_left_by_name() -> None:
    found = search(network([0.3, 0.3, 0.3], [1, 1, 1]), budget=0)

    assert list(found.alone) == ["b", "bx", "bxx"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_never_fits(bad: float) -> None:
    parts = network([0.5, 0.5], [bad, bad])

    found = search(parts, budget=1e300)

    assert found.chosen is None


def test_a_block_without_a_number_is_the_first_to_be_left() -> None:
    parts = network([0.2, 0.2, 0.6], [5, math.nan, 1])

    found = search(parts, budget=6)

    assert found.chosen is not None
    assert found.chosen.left == ("bx",)


def test_too_small_a_share_is_not_tried() -> None:
    parts = network([0.5, 0.5], [2, 1])

    found = search(parts, budget=1, least_share=0.6)

    assert found.chosen is None
    assert [trial.left for trial in found.trials] == [()]


@pytest.mark.parametrize(
    ("shares", "least"), [([], 0.0), ([0.2, 0.2], 0.5)], ids=["no-blocks", "small-blocks"]
)
def test_nothing_is_measured_where_there_is_nothing_to_gain(
    shares: list[float], least: float
) -> None:
    parts = network(shares, [0.0] * len(shares))

    found = search(parts, budget=9, least_share=least)

    assert (found, parts.asked) == (Search(None, ()), [])


def test_a_graph_with_nothing_reduced_is_no_result() -> None:
    found = search(network([0.5, 0.5], [1, 1]), budget=0)

    assert found.chosen is None
    assert [len(trial.left) for trial in found.trials] == [0, 1]


def test_progress_is_told_what_is_measured() -> None:
    parts, told = network([0.4, 0.4], [1, 2]), list[str]()

    largest_share(parts.blocks, parts.measure, budget=1, progress=told.append)

    assert told == ["all 2 blocks", "b alone", "bx alone", "all but 1 blocks"]
