from __future__ import annotations

from collections import Counter

import pytest

from facealign.bench.messages import TakeTurn, TurnDone
from facealign.bench.turns import (
    Pace,
    Turns,
    _is_over,
    joined,
    paces_of,
    round_medians_ms,
    take_turns,
)

_PACE = Pace(count=2, cycle_s=0.01)


class _Asked:
    """A child of which every run takes as long as it says, and no time passes."""

    def __init__(
        self, name: str, run_ms: float, log: list[str], kinds: tuple[str, ...] = ("forward",)
    ) -> None:
        self.name, self.kinds, self.cpu_s = name, kinds, 0.0
        self.counts: list[int] = []
        self.deadlines_s: list[float] = []
        self._run_ms, self._log = run_ms, log

    def ask(self, order: TakeTurn, reply: type[TurnDone], *, deadline_s: float) -> TurnDone:
        self.counts.append(order.count)
        self.deadlines_s.append(deadline_s)
        self._log.append(self.name)
        number = float(len(self.counts))
        self.cpu_s = 10 * number
        return reply(
            times_ms=dict.fromkeys(self.kinds, (self._run_ms,) * order.count),
            cpu_s=10 * number,
            peak_memory_mb=100 + number,
        )


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def asked(log: list[str]) -> list[_Asked]:
    return [_Asked(name, run_ms, log) for name, run_ms in (("a", 2.0), ("b", 2.0), ("c", 400.0))]


def _turns(*rounds_ms: tuple[float, ...], cpu_s: float = 0.0, peak_memory_mb: float = 0.0) -> Turns:
    rounds = tuple({"forward": each} for each in rounds_ms)
    return Turns((rounds,), cpu_s, peak_memory_mb)


def test_paces_of_gives_fast_ones_more_runs(asked: list[_Asked]) -> None:
    paces = paces_of(asked, seconds=0.072)

    assert [each.count for each in paces] == [3, 3, 1]  # 72 ms by 4 rounds by 3 children is 6 ms
    assert [each.cycle_s for each in paces] == [0.002, 0.002, 0.4]


def test_paces_of_counts_what_a_third_kind_is_timed_behind(log: list[str]) -> None:
    child = _Asked("a", 2.0, log, kinds=("forward", "end to end", "crop"))

    (pace,) = paces_of([child], seconds=0.32)

    assert (pace.count, pace.cycle_s) == (10, 0.008)  # forward, end to end, forward, crop


def test_paces_of_warms_up_as_long_as_trtexec(asked: list[_Asked]) -> None:
    paces_of(asked, seconds=0.01)

    assert [each.counts for each in asked] == [[1, 100], [1, 100], [1, 1]]


def test_take_turns_gives_every_child_one_turn_a_round(asked: list[_Asked], log: list[str]) -> None:
    turns = take_turns(asked, [_PACE] * 3, seconds=0.01)

    rounds = list(zip(*[iter(log)] * 3, strict=True))
    assert {len(each.rounds) for each in turns} == {len(rounds)}
    assert {tuple(sorted(each)) for each in rounds} == {("a", "b", "c")}


def test_take_turns_runs_each_at_its_pace(asked: list[_Asked]) -> None:
    paces = [Pace(count, cycle_s=0.01) for count in (5, 1, 2)]

    turns = take_turns(asked, paces, seconds=0.01)

    assert [set(each.counts) for each in asked] == [{5}, {1}, {2}]
    assert [len(each.rounds[0]["forward"]) for each in turns] == [5, 1, 2]


@pytest.mark.parametrize("seed", [3, 4])
def test_take_turns_shuffles_the_order_and_can_repeat_it(log: list[str], seed: int) -> None:
    orders = []
    for _ in range(2):
        log.clear()
        children = [_Asked(name, 1.0, log) for name in "abcdefgh"]
        take_turns(children, [_PACE] * 8, seconds=1e-9, seed=seed)
        orders.append(log[:8])

    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0])


def test_take_turns_has_another_order_every_round(asked: list[_Asked], log: list[str]) -> None:
    take_turns(asked, [_PACE] * 3, seconds=0.01)

    first_of_rounds = Counter(log[::3])
    assert len(first_of_rounds) == 3


def test_take_turns_waits_longer_for_slow_ones(log: list[str]) -> None:
    slow, fast = _Asked("slow", 5000.0, log), _Asked("fast", 1.0, log)

    take_turns([slow, fast], [Pace(1, 5.0), Pace(1, 0.001)], seconds=0.01)

    assert set(slow.deadlines_s) == {500.0}
    assert set(fast.deadlines_s) == {60.0}


def test_take_turns_counts_what_a_process_had_used_before_as_not_its_own(
    asked: list[_Asked],
) -> None:
    asked[0].cpu_s = 4.0

    turns = take_turns(asked, [_PACE] * 3, seconds=0.01)

    count = len(turns[0].rounds)
    assert turns[0].cpu_s == 10.0 * count - 4
    assert turns[0].peak_memory_mb == 100 + count


def test_take_turns_tells_how_far_it_is(asked: list[_Asked]) -> None:
    shares: list[float] = []

    turns = take_turns(asked, [_PACE] * 3, seconds=0.01, on_round=shares.append)

    assert len(shares) == len(turns[0].rounds)
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_joined_puts_the_launches_of_each_candidate_one_behind_the_other() -> None:
    first = (_turns((1.0,), cpu_s=2.0, peak_memory_mb=9.0), _turns((5.0,)))
    second = (_turns((2.0,), (3.0,), cpu_s=4.0, peak_memory_mb=8.0), _turns((6.0,), (7.0,)))

    one, other = joined([first, second])

    assert (one.cpu_s, one.peak_memory_mb) == (6.0, 9.0)
    assert [len(launch) for launch in one.launches] == [1, 2]
    assert one.times_ms("forward") == (1.0, 2.0, 3.0)
    assert other.times_ms("forward") == (5.0, 6.0, 7.0)


def test_round_medians_ms_has_one_value_a_round_by_launch() -> None:
    (turns,) = joined([[_turns((1.0, 9.0, 2.0), (4.0, 6.0))], [_turns((8.0,))]])

    found = round_medians_ms(turns, "forward")

    assert [each.tolist() for each in found] == [[2.0, 5.0], [8.0]]


@pytest.mark.parametrize(
    ("elapsed_s", "rounds", "expected"),
    [(1e9, 0, False), (13.0, 1, False), (14.0, 1, True), (8.1, 2, True), (7.9, 2, False)],
    ids=["none yet", "one, some time left", "one, twice the time", "over", "time left"],
)
def test_take_turns_ends_when_it_has_rounds_enough_or_took_twice_its_time(
    elapsed_s: float, rounds: int, expected: bool
) -> None:
    assert _is_over(elapsed_s, rounds, seconds=10.0) is expected
