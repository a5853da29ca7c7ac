"""Was it quiet? What else ran, whether the times drifted, and how far they scatter."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CpuShares",
    "CpuTimes",
    "cpu_shares",
    "drift_percent",
    "noise_flags",
    "read_cpu_times",
    "scatter_percent",
    "slowness_of",
]

_ROOT = Path("/")
_SEED = 0
_SHUFFLES = 1000
_CERTAIN = 0.01  # of 8 rounds, two at either end are as far apart in 1 order of 210
_MOST_DRIFT_PERCENT = 10.0
_MOST_FOREIGN_PERCENT = 5.0
_MOST_FOREIGN_CORES = 0.5  # every run on all cores waits for the one that is shared
_MOST_STEAL_PERCENT = 1.0
# An idle virtual machine of 2 cores: 6 to 19 % in 7 series. trtexec warns above 2.5 %, of a GPU.
_MOST_SCATTER_PERCENT = 25.0
_NORMAL = 1.4826  # median absolute deviation of a normal distribution is 1 / this of its sigma
_FIELDS = 8
_IDLE = (3, 4)  # idle and iowait
_STEAL = 7


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all cores since the start of the system."""

    busy_s: float
    steal_s: float
    total_s: float


@dataclass(frozen=True, slots=True)
class CpuShares:
    """Where the time of all cores went, in percent of it.

    Attributes:
        foreign_percent: To other processes and to other guests of the host.
        steal_percent: To other guests alone.
    """

    foreign_percent: float
    steal_percent: float


def read_cpu_times(root: Path = _ROOT) -> CpuTimes | None:
    """Return what ``/proc/stat`` says, or None where it does not."""
    try:
        first = (root / "proc/stat").read_text("ascii", "replace").partition("\n")[0].split()
    except OSError:
        return None
    if first[:1] != ["cpu"] or len(first) <= _FIELDS or not all(map(str.isdecimal, first[1:])):
        return None
    # Time of guests, behind the eighth, is in the first two already.
    seconds = [int(text) / _ticks_per_s() for text in first[1 : _FIELDS + 1]]
    idle_s = sum(seconds[index] for index in _IDLE)
    return CpuTimes(
        busy_s=sum(seconds) - idle_s - seconds[_STEAL],
        steal_s=seconds[_STEAL],
        total_s=sum(seconds),
    )


def cpu_shares(
    looks: Sequence[tuple[CpuTimes | None, CpuTimes | None]], *, own_s: float
) -> CpuShares | None:
    """Return what others took while it was measured, or None where that cannot be known.

    Args:
        looks: Before and after each part of the measurement.
        own_s: Processor time of the measurement itself, of all its processes, in these parts.
    """
    busy_s = steal_s = total_s = 0.0
    for before, after in looks:
        if before is None or after is None:
            return None
        busy_s += after.busy_s - before.busy_s
        steal_s += after.steal_s - before.steal_s
        total_s += after.total_s - before.total_s
    if total_s <= 0:
        return None
    # A tick counts whoever has the core at its end, so the difference may be below 0 by a little.
    foreign_s = max(0.0, busy_s - own_s) + steal_s
    return CpuShares(100 * foreign_s / total_s, 100 * steal_s / total_s)


def noise_flags(
    rounds_ms: Mapping[str, Sequence[NDArray[np.float64]]],
    shares: CpuShares | None,
    *,
    throttled: int = 0,
    cores: int = 1,
) -> tuple[str, ...]:
    """Return why the figures should not be trusted, each a sentence; nothing on a quiet machine.

    Others' time and heat are counted by the kernel. What it does not see, such as a neighbour on
    the host or a GPU that slows down, shows in the times: by engine, as what ails the machine ails
    all candidates there, and what one of them has alone is in the interval of its ratio.

    Args:
        rounds_ms: By engine, for each candidate on it the ``(R,)`` median of each round.
        shares: What others took, if it is known.
        throttled: How often the processor was slowed down for its heat meanwhile.
        cores: Of the machine.
    """
    slowness = {engine: slowness_of(each) for engine, each in rounds_ms.items()}
    return (
        *_share_flags(shares, cores),
        *_throttle_flags(throttled),
        *_drift_flags(slowness),
        *_scatter_flags(slowness),
    )


def slowness_of(rounds_ms: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return ``(R,)``: how slow each round was, by the candidates' geometric mean; 1 is usual.

    Args:
        rounds_ms: By candidate, one or more, ``(R,)`` over the same rounds.
    """
    logs = [np.log(own / np.median(own)) for own in rounds_ms]
    slowness: NDArray[np.float64] = np.exp(np.mean(logs, axis=0))
    return slowness


def drift_percent(rounds_ms: NDArray[np.float64]) -> float | None:
    """Return how much slower the last third of the rounds was than the first; None if by chance.

    By chance: rounds in a random order differ as much, in more than one case of a hundred.

    Args:
        rounds_ms: ``(R,)``.
    """
    third = len(rounds_ms) // 3
    if not third:
        return None
    rng = np.random.default_rng(_SEED)
    shuffled = rng.permuted(np.tile(rounds_ms, (_SHUFFLES, 1)), axis=1)
    found, by_chance = _slower(rounds_ms[None], third)[0], _slower(shuffled, third)
    is_chance = np.mean(np.abs(by_chance) >= abs(found)) > _CERTAIN
    return None if is_chance else 100 * float(found)


def scatter_percent(rounds_ms: NDArray[np.float64]) -> float:
    """Return a coefficient of variation that a few interrupted rounds do not move.

    A GPU with fixed clocks is rarely interrupted and a core is all the time, so what trtexec judges
    by would warn on every CPU. This is the same figure for a normal distribution.

    Args:
        rounds_ms: ``(R,)``.
    """
    middle = np.median(rounds_ms)
    return float(100 * _NORMAL * np.median(np.abs(rounds_ms - middle)) / middle)


def _slower(rounds_ms: NDArray[np.float64], third: int) -> NDArray[np.float64]:
    """Return ``(K,)``: last third by first third minus 1, of medians, for ``(K, R)`` rounds."""
    last, first = rounds_ms[:, -third:], rounds_ms[:, :third]
    ratio: NDArray[np.float64] = np.median(last, axis=1) / np.median(first, axis=1) - 1
    return ratio


def _share_flags(shares: CpuShares | None, cores: int) -> list[str]:
    if shares is None:
        return []
    flags = []
    own = shares.foreign_percent - shares.steal_percent
    most = min(_MOST_FOREIGN_PERCENT, 100 * _MOST_FOREIGN_CORES / cores)
    if own > most:
        flags.append(
            f"other processes took {own:.1f} % of the time of all cores (more than {most:.3g} %); "
            "end them, `top` names them"
        )
    if shares.steal_percent > _MOST_STEAL_PERCENT:
        flags.append(
            f"the host gave {shares.steal_percent:.1f} % of the time of all cores to other guests "
            f"(more than {_MOST_STEAL_PERCENT:g} %); wait until they are done, or take a machine "
            "of your own"
        )
    return flags


def _throttle_flags(throttled: int) -> list[str]:
    if throttled <= 0:
        return []
    # No number: every core of a package counts the same event.
    return ["the processor was slowed down for its heat; let it cool down"]


def _drift_flags(slowness: Mapping[str, NDArray[np.float64]]) -> list[str]:
    drifts = {engine: drift_percent(each) for engine, each in slowness.items()}
    return [
        f"the last third of the rounds on {engine} was {abs(drift):.0f} % "
        f"{'slower' if drift > 0 else 'faster'} than the first (more than "
        f"{_MOST_DRIFT_PERCENT:g} %); heat or other work came or went, so wait until it is steady"
        for engine, drift in drifts.items()
        if drift is not None and abs(drift) > _MOST_DRIFT_PERCENT
    ]


def _scatter_flags(slowness: Mapping[str, NDArray[np.float64]]) -> list[str]:
    scatters = {engine: scatter_percent(each) for engine, each in slowness.items()}
    return [
        f"rounds on {engine} scatter by {scatter:.0f} % around their median (more than "
        f"{_MOST_SCATTER_PERCENT:g} %); fix the clocks, or take a machine that nobody shares"
        for engine, scatter in scatters.items()
        if scatter > _MOST_SCATTER_PERCENT
    ]


def _ticks_per_s() -> int:
    return os.sysconf("SC_CLK_TCK")
