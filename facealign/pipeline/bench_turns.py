"""All launches of a benchmark, and what was seen of the machine meanwhile."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from facealign.bench.clocks import clock_state, throttle_count
from facealign.bench.noise import CpuTimes, cpu_shares, noise_flags, read_cpu_times
from facealign.bench.result import MachineState
from facealign.bench.turns import Turns, joined, paces_of, round_medians_ms, take_turns
from facealign.bundle import Bundle
from facealign.pipeline.bench_candidates import BenchRequest
from facealign.pipeline.bench_children import Opened, restart_children
from facealign.pipeline.bench_subject import FORWARD
from facealign.pipeline.progress import Stage

__all__ = ["SEED", "Watch", "machine_state", "turns_of"]

SEED = 0
_LAUNCHES = 4  # an interval over 3 is half as wide again; each costs the start of every process


@dataclass(slots=True)
class Watch:
    """What was seen of the machine before the rounds of each launch, and after them in turn."""

    clocks: list[dict[str, str]] = field(default_factory=list)
    cpu: list[CpuTimes | None] = field(default_factory=list)
    own_s: list[float] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Look once more."""
        self.clocks.append(clock_state())
        self.throttled.append(throttle_count() or 0)
        self.own_s.append(time.process_time())
        self.cpu.append(read_cpu_times())


def turns_of(
    bundle: Bundle,
    request: BenchRequest,
    opened: list[Opened],
    stack: ExitStack,
    stage: Stage,
) -> tuple[list[Opened], tuple[Turns, ...], Watch]:
    """Return the candidates in their last processes, their turns, and what was seen meanwhile.

    Args:
        bundle: Whose graphs.
        request: What was asked for.
        opened: The first launch.
        stack: Ends the processes: of one launch before the next, and of the last.
        stage: Shows how far it is.

    Raises what `restart_children` and `Child.ask` raise.
    """
    watch, shown = Watch(), 0
    launches: list[tuple[Turns, ...]] = []

    def on_round(share: float) -> None:
        nonlocal shown
        done = round(100 * (len(launches) + share) / _LAUNCHES)
        stage.advance(done - shown, total=100)
        shown = done

    seconds = request.seconds / _LAUNCHES
    paces = paces_of([each.child for each in opened], seconds=seconds)
    for number in range(_LAUNCHES):
        if number:
            opened = restart_children(bundle, request, opened, stack)
        watch.look()
        launch = take_turns(
            [each.child for each in opened],
            paces,
            seconds=seconds,
            seed=SEED + number,
            on_round=on_round,
        )
        watch.look()
        launches.append(launch)
    turns = joined(launches)
    stage.say(f"{len(turns[0].rounds)} rounds in random order, in {_LAUNCHES} launches")
    return opened, turns, watch


def machine_state(
    watch: Watch, opened: Sequence[Opened], turns: Sequence[Turns], *, load_before: float
) -> MachineState:
    """Return what else went on, and why the figures should not be trusted if they should not.

    Args:
        watch: Looks before and after the rounds of each launch.
        opened: The candidates.
        turns: Of each.
        load_before: Runnable processes, mean of a minute, before the run.
    """
    own_s = sum(watch.own_s[1::2]) - sum(watch.own_s[::2]) + sum(each.cpu_s for each in turns)
    shares = cpu_shares(list(zip(watch.cpu[::2], watch.cpu[1::2], strict=True)), own_s=own_s)
    rounds_ms = defaultdict(list)
    for each, own in zip(opened, turns, strict=True):
        rounds_ms[each.candidate.engine].append(np.concatenate(round_medians_ms(own, FORWARD)))
    before, after = watch.clocks[0], watch.clocks[-1]
    clocks = {
        name: value if after.get(name) in {value, None} else f"{value}, then {after[name]}"
        for name, value in before.items()
    }
    return MachineState(
        clocks=clocks,
        load_before=load_before,
        foreign_cpu_percent=None if shares is None else shares.foreign_percent,
        flags=noise_flags(
            rounds_ms,
            shares,
            throttled=watch.throttled[-1] - watch.throttled[0],
            cores=os.cpu_count() or 1,
        ),
    )
