from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from facealign.bench.messages import TakeTurn, TurnDone
from facealign.bench.turns import Turns, _is_over, round_medians_ms, take_turns


class _Asked:
    """A child of which every run takes as long as it says, and no time passes."""

    def __init__(self, name: str, run_ms: float, log: list[str]) -> None:
        self.name = name
        self.counts: list[int] = []
        self.deadlines_s: list[float] = []
        self._run_ms, self._log = run_ms, log

    def ask(self, order: TakeTurn, reply: type[TurnDone], *, deadline_s: float) -> TurnDone:
        self.counts.append(order.count)
        self.deadlines_s.append(deadline_s)
        self._log.append(self.name)
        number = float(len(self.counts))
        return reply(
            times_ms={"forward": (self._run_ms,) * order.count},
            cpu_s=10 * number,
            peak_memory_mb=100 + number,
        )


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def asked(log: list[str]) -> list[_Asked]:
    return [_Asked(name, run_ms, log) for name, run_ms in (("a", 2.0), ("b", 2.0), ("c", 400.0))]


def test_take_turns_gives_every_child_one_turn_a_round(asked: list[_Asked], log: list[str]) -> None:
    turns = take_turns(asked, seconds=0.01)

    rounds = list(zip(*[iter(log[6:])] * 3, strict=True))  # behind two turns of warm-up each
    assert {len(each.rounds) for each in turns} == {len(rounds)}
    assert {tuple(sorted(each)) for each in rounds} == {("a", "b", "c")}


def test_take_turns_shuffles_the_order_and_can_repeat_it(log: list[str]) -> None:
    orders = []
    for _ in range(2):
        log.clear()
        take_turns([_Asked(name, 1.0, log) for name in "abcd"], seconds=1e-9, seed=3)
        orders.append(log[8:24])

    first_of_rounds = Counter(orders[0][::4])
    assert orders[0] == orders[1]
    assert len(first_of_rounds) > 1


def test_take_turns_gives_fast_ones_more_runs(asked: list[_Asked]) -> None:
    long_turns = take_turns(asked, seconds=0.5)

    runs = [len(each.rounds[0]["forward"]) for each in long_turns]
    assert runs == [3, 3, 1]  # 0.5 s by 32 rounds by 3 children is 5 ms


def test_take_turns_warms_up_as_long_as_trtexec(asked: list[_Asked]) -> None:
    take_turns(asked, seconds=0.01)

    assert [each.counts[:2] for each in asked] == [[1, 100], [1, 100], [1, 1]]


def test_take_turns_waits_longer_for_slow_ones(log: list[str]) -> None:
    slow = _Asked("slow", 5000.0, log)

    take_turns([slow], seconds=0.01)

    assert slow.deadlines_s[0] == 60.0
    assert slow.deadlines_s[-1] == 500.0


def test_take_turns_counts_from_the_last_warm_up_on(asked: list[_Asked]) -> None:
    turns = take_turns(asked, seconds=0.01)

    count = len(turns[0].rounds)
    assert turns[0].cpu_s == 10.0 * count
    assert turns[0].peak_memory_mb == 102 + count


def test_take_turns_tells_when_all_are_warm_and_how_far_it_is(
    asked: list[_Asked], log: list[str]
) -> None:
    shares: list[float] = []
    warm: list[int] = []

    turns = take_turns(
        asked, seconds=0.01, on_warm=lambda: warm.append(len(log)), on_round=shares.append
    )

    assert warm == [6]
    assert len(shares) == len(turns[0].rounds)
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_round_medians_ms_has_one_value_a_round() -> None:
    turns = Turns(({"forward": (1.0, 9.0, 2.0)}, {"forward": (4.0, 6.0)}), 0.0, 0.0)

    found = round_medians_ms(turns, "forward")

    np.testing.assert_array_equal(found, [2.0, 5.0])
    assert turns.times_ms("forward") == (1.0, 9.0, 2.0, 4.0, 6.0)


@pytest.mark.parametrize(
    ("elapsed_s", "rounds", "expected"),
    [(1e9, 3, False), (15.0, 4, False), (19.0, 4, True), (10.1, 8, True), (9.0, 8, False)],
    ids=["too few", "below 8, some time left", "below 8, twice the time", "over", "time left"],
)
def test_take_turns_ends_when_it_has_rounds_enough_or_took_twice_its_time(
    elapsed_s: float, rounds: int, expected: bool
) -> None:
    assert _is_over(elapsed_s, rounds, seconds=10.0) is expected
