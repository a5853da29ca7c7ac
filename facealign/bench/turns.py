"""Candidates take turns: one process runs at a time, in another order every round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facealign.bench.messages import TakeTurn, TurnDone

__all__ = ["Asked", "Turns", "round_medians_ms", "take_turns"]

_MIN_ROUNDS = 8  # fewer tell nothing of drift, and little of an interval
_FEWEST_ROUNDS = 4  # where 8 would take twice the time that there is
_AIM_ROUNDS = 32
_MOST_RUNS = 200
_WARM_UP_S = 0.2  # as trtexec
_SLOWEST = 50  # times as long as it took before; somebody may stop and go on with the machine
_DEADLINE_S = 60.0


class Asked(Protocol):
    """A `Child`, as far as turns go."""

    def ask(self, order: TakeTurn, reply: type[TurnDone], *, deadline_s: float) -> TurnDone:
        """Return the answer to an order."""
        ...


@dataclass(frozen=True, slots=True)
class Turns:
    """What one candidate did.

    Attributes:
        rounds: Milliseconds per run by kind, one mapping per round.
        cpu_s: Processor time of its process in these rounds.
        peak_memory_mb: Of its process since it began, MB of 10^6 bytes.
    """

    rounds: tuple[dict[str, tuple[float, ...]], ...]
    cpu_s: float
    peak_memory_mb: float

    def times_ms(self, kind: str) -> tuple[float, ...]:
        """Return every time of a kind of run, in the order of the runs."""
        return tuple(each for one in self.rounds for each in one[kind])


def take_turns(
    children: Sequence[Asked],
    *,
    seconds: float,
    seed: int = 0,
    on_warm: Callable[[], None] = lambda: None,
    on_round: Callable[[float], None] = lambda _: None,
) -> tuple[Turns, ...]:
    """Return the turns of each child, all over the same rounds.

    Each is warmed up first. How many runs make a turn is then set so that the fast ones get as much
    time as the slow ones.

    Args:
        children: Ready, one or more.
        seconds: How long, warm-up aside; up to twice that if there were not `_MIN_ROUNDS` before,
            and longer where four rounds take longer.
        seed: Of the order of the turns.
        on_warm: Called when all are warm, before the first round that counts.
        on_round: Called after each round with the part of the time that is over, 0 to 1.

    Raises what `Child.ask` raises.
    """
    counts, warm = _warm_up(children, turn_s=seconds / (_AIM_ROUNDS * len(children)))
    on_warm()
    rng = np.random.default_rng(seed)
    done: list[list[TurnDone]] = [[] for _ in children]
    began = time.perf_counter()
    while not _is_over(time.perf_counter() - began, len(done[0]), seconds=seconds):
        for index in rng.permutation(len(children)).tolist():
            before = (done[index] or [warm[index]])[-1]
            done[index].append(_turn(children[index], counts[index], before=before))
        on_round(min(1.0, (time.perf_counter() - began) / seconds))
    return tuple(
        Turns(
            rounds=tuple(each.times_ms for each in own),
            cpu_s=own[-1].cpu_s - first.cpu_s,
            peak_memory_mb=own[-1].peak_memory_mb,
        )
        for own, first in zip(done, warm, strict=True)
    )


def round_medians_ms(turns: Turns, kind: str) -> NDArray[np.float64]:
    """Return ``(R,)``: the median of each round's runs of a kind."""
    return np.array([statistics.median(each[kind]) for each in turns.rounds], np.float64)


def _is_over(elapsed_s: float, rounds: int, *, seconds: float) -> bool:
    """Return whether the next round would end later than it would be early to stop now."""
    if rounds < _FEWEST_ROUNDS:
        return False
    allowed_s = seconds if rounds >= _MIN_ROUNDS else 2 * seconds
    return elapsed_s * (1 + 0.5 / rounds) > allowed_s


def _warm_up(children: Sequence[Asked], *, turn_s: float) -> tuple[list[int], list[TurnDone]]:
    """Return how many runs of each kind make a turn of each child, and its last warm-up."""
    counts, warm = [], []
    for child in children:
        cold = child.ask(TakeTurn(count=1), TurnDone, deadline_s=_DEADLINE_S)
        cycle_s = _cycle_s(cold)
        count = max(1, min(_MOST_RUNS, round(_WARM_UP_S / cycle_s)))
        last = _turn(child, count, before=cold)
        cycle_s = _cycle_s(last)
        counts.append(max(1, min(_MOST_RUNS, round(turn_s / cycle_s))))
        warm.append(last)
    return counts, warm


def _turn(child: Asked, count: int, *, before: TurnDone) -> TurnDone:
    deadline_s = max(_DEADLINE_S, _SLOWEST * (1 + count) * _cycle_s(before))
    return child.ask(TakeTurn(count=count), TurnDone, deadline_s=deadline_s)


def _cycle_s(turn: TurnDone) -> float:
    """Return the seconds of one run of every kind."""
    return max(1e-6, sum(statistics.median(each) for each in turn.times_ms.values()) / 1e3)
