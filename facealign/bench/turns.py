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

__all__ = ["Asked", "Pace", "Turns", "joined", "paces_of", "round_medians_ms", "take_turns"]

_MIN_ROUNDS = 2  # of a launch; fewer tell little of what is between them
_AIM_ROUNDS = 4
_MOST_RUNS = 200
_WARM_UP_S = 0.2  # as trtexec
_SLOWEST = 50  # times as long as it took before; somebody may stop and go on with the machine
_DEADLINE_S = 60.0


class Asked(Protocol):
    """A `Child`, as far as turns go.

    Attributes:
        cpu_s: Processor time of its process, as it last said.
    """

    cpu_s: float

    def ask(self, order: TakeTurn, reply: type[TurnDone], *, deadline_s: float) -> TurnDone:
        """Return the answer to an order."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How many runs of each kind make a turn of a child, and how long one run of each takes."""

    count: int
    cycle_s: float


@dataclass(frozen=True, slots=True)
class Turns:
    """What one candidate did.

    Attributes:
        launches: By start of its process, its rounds: milliseconds per run by kind.
        cpu_s: Processor time of its processes in these rounds.
        peak_memory_mb: Of its largest process since that began, MB of 10^6 bytes.
    """

    launches: tuple[tuple[dict[str, tuple[float, ...]], ...], ...]
    cpu_s: float
    peak_memory_mb: float

    @property
    def rounds(self) -> tuple[dict[str, tuple[float, ...]], ...]:
        """Return the rounds of all launches, in their order."""
        return tuple(one for launch in self.launches for one in launch)

    def times_ms(self, kind: str) -> tuple[float, ...]:
        """Return every time of a kind of run, in the order of the runs."""
        return tuple(each for one in self.rounds for each in one[kind])


def paces_of(children: Sequence[Asked], *, seconds: float) -> tuple[Pace, ...]:
    """Return the pace of each child, warmed up, at which fast ones get as much time as slow ones.

    Args:
        children: Ready, one or more.
        seconds: Of a launch, as `take_turns` has it.

    Raises what `Child.ask` raises.
    """
    turn_s = seconds / (_AIM_ROUNDS * len(children))
    paces = []
    for child in children:
        cold_s = _cycle_s(child.ask(TakeTurn(count=1), TurnDone, deadline_s=_DEADLINE_S))
        warm_s = _cycle_s(_turn(child, Pace(_runs_in(_WARM_UP_S, cold_s), cold_s)))
        paces.append(Pace(_runs_in(turn_s, warm_s), warm_s))
    return tuple(paces)


def take_turns(
    children: Sequence[Asked],
    paces: Sequence[Pace],
    *,
    seconds: float,
    seed: int = 0,
    on_round: Callable[[float], None] = lambda _: None,
) -> tuple[Turns, ...]:
    """Return the turns of each child in one launch, all over the same rounds.

    Nobody is warmed up: the self-test has run each, and a turn begins with a run that does not
    count.

    Args:
        children: Ready, one or more.
        paces: Of each.
        seconds: How long, warm-up aside; up to twice that if there were not `_MIN_ROUNDS` before,
            and longer where one round takes longer.
        seed: Of the order of the turns.
        on_round: Called after each round with the part of the time that is over, 0 to 1.

    Raises what `Child.ask` raises.
    """
    before_s = [child.cpu_s for child in children]
    rng = np.random.default_rng(seed)
    done: list[list[TurnDone]] = [[] for _ in children]
    began = time.perf_counter()
    while not _is_over(time.perf_counter() - began, len(done[0]), seconds=seconds):
        for index in rng.permutation(len(children)).tolist():
            done[index].append(_turn(children[index], paces[index]))
        on_round(min(1.0, (time.perf_counter() - began) / seconds))
    return tuple(
        Turns(
            launches=(tuple(each.times_ms for each in own),),
            cpu_s=own[-1].cpu_s - began_s,
            peak_memory_mb=own[-1].peak_memory_mb,
        )
        for own, began_s in zip(done, before_s, strict=True)
    )


def joined(launches: Sequence[Sequence[Turns]]) -> tuple[Turns, ...]:
    """Return the turns of each candidate in all launches, from those of all in each launch."""
    return tuple(
        Turns(
            launches=tuple(launch for each in own for launch in each.launches),
            cpu_s=sum(each.cpu_s for each in own),
            peak_memory_mb=max(each.peak_memory_mb for each in own),
        )
        for own in zip(*launches, strict=True)
    )


def round_medians_ms(turns: Turns, kind: str) -> tuple[NDArray[np.float64], ...]:
    """Return for each launch ``(R,)``: the median of each round's runs of a kind."""
    return tuple(
        np.array([statistics.median(each[kind]) for each in launch], np.float64)
        for launch in turns.launches
    )


def _is_over(elapsed_s: float, rounds: int, *, seconds: float) -> bool:
    """Return whether the next round would end later than it would be early to stop now."""
    if not rounds:
        return False
    allowed_s = seconds if rounds >= _MIN_ROUNDS else 2 * seconds
    return elapsed_s * (1 + 0.5 / rounds) > allowed_s


def _runs_in(seconds: float, cycle_s: float) -> int:
    return max(1, min(_MOST_RUNS, round(seconds / cycle_s)))


def _turn(child: Asked, pace: Pace) -> TurnDone:
    deadline_s = max(_DEADLINE_S, _SLOWEST * (1 + pace.count) * pace.cycle_s)
    return child.ask(TakeTurn(count=pace.count), TurnDone, deadline_s=deadline_s)


def _cycle_s(turn: TurnDone) -> float:
    """Return the seconds of one run of every kind, and of what each is timed behind."""
    medians_ms = [statistics.median(each) for each in turn.times_ms.values()]
    again_ms = medians_ms[0] * max(0, len(medians_ms) - 2)
    return max(1e-6, (sum(medians_ms) + again_ms) / 1e3)
