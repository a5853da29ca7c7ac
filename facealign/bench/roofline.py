"""The time that work takes at the roof: arithmetic only, measured and counted elsewhere.

Source: Williams, Waterman and Patterson, "Roofline", CACM 2009: what is done at most in a time is
bounded by the peak of the arithmetic and by the bandwidth of memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from facealign.bench.result import BenchResult, Candidate, LayerRow, OperatorRow, Roof, Roofline

__all__ = [
    "OTHER",
    "KernelWork",
    "ProfileRow",
    "layer_times",
    "layers_by_plan",
    "peak_of",
    "roofline",
    "side_by_side",
    "times_of",
]

OTHER = "other"
_WIDEST = "fp32"


@dataclass(frozen=True, slots=True)
class KernelWork:
    """What an engine runs as one.

    Attributes:
        operator: That it counts as.
        merged: Other operators of the graph that it holds, one entry per node.
        macs: Multiply-accumulates.
        bytes: That it must read and write.
        kind: Of the arithmetic: ``fp32``, ``fp16`` or ``int8``.
        time_ms: As profiled.
        count: Nodes of the graph that are its `operator`; 1 for what the engine added.
    """

    operator: str
    merged: tuple[str, ...]
    macs: int
    bytes: int
    kind: str
    time_ms: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One operator in several profiles, in milliseconds by their names; 0 where it does not run."""

    operator: str
    times_ms: dict[str, float]


def roofline(
    candidate: Candidate,
    kernels: Sequence[KernelWork],
    roof: Roof,
    *,
    profiled_ms: float,
    measured_ms: float | None = None,
) -> Roofline:
    """Return operators and graph under the roof.

    Args:
        candidate: What ran.
        kernels: All of one run.
        roof: Of the same machine and threads.
        profiled_ms: Of a whole run while it was profiled; what is beyond the kernels is `OTHER`.
        measured_ms: Of a run without the profile; the profile's own if None.

    Raises:
        ValueError: If a time is not above 0.
    """
    total_ms = profiled_ms if measured_ms is None else measured_ms
    if not (profiled_ms > 0 and total_ms > 0):
        raise ValueError(f"times must be above 0, got {profiled_ms} and {total_ms}")
    kernel_ms = sum(kernel.time_ms for kernel in kernels)
    # The clock of the profile counts whole microseconds, so that kernels can exceed a short run.
    scale = total_ms / max(profiled_ms, kernel_ms)
    rows = [
        _row(name, kernels, roof, scale)
        for name in dict.fromkeys([*(k.operator for k in kernels), *_merged(kernels)])
    ]
    other = _nothing(OTHER, max(0.0, total_ms - kernel_ms * scale))
    roof_ms = math.fsum(row.roof_ms for row in rows)
    return Roofline(
        candidate=candidate,
        operators=tuple(sorted([*rows, other], key=lambda row: -(row.time_ms or 0.0))),
        total_ms=total_ms,
        roof_ms=roof_ms,
        share=roof_ms / total_ms,
        profiled_ms=profiled_ms,
    )


def peak_of(kind: str, roof: Roof) -> float:
    """Return the peak of a type in GFLOP/s; an engine without kernels of it computes in FP32."""
    return roof.peak_gflops.get(kind, roof.peak_gflops[_WIDEST])


def side_by_side(profiles: Mapping[str, Mapping[str, float]]) -> tuple[ProfileRow, ...]:
    """Return operators in several profiles, in the order of the largest time.

    Args:
        profiles: By name, milliseconds by operator.
    """
    operators = dict.fromkeys(name for times in profiles.values() for name in times)
    rows = [
        ProfileRow(name, {each: times.get(name, 0.0) for each, times in profiles.items()})
        for name in operators
    ]
    return tuple(sorted(rows, key=lambda row: -max(row.times_ms.values())))


def times_of(line: Roofline) -> dict[str, float]:
    """Return milliseconds by operator, without what was merged, for `side_by_side`."""
    return {row.operator: row.time_ms for row in line.operators if row.time_ms is not None}


def layer_times(layers: Iterable[LayerRow]) -> dict[str, float]:
    """Return milliseconds by operator, of the layers of a plan, for `side_by_side`."""
    times: dict[str, float] = {}
    for layer in layers:
        times[layer.operator] = times.get(layer.operator, 0.0) + layer.average_ms
    return times


def layers_by_plan(result: BenchResult) -> dict[Candidate, tuple[LayerRow, ...]]:
    """Return the layers of the plans that were profiled, at the smallest batch as rooflines."""
    smallest = min((each.candidate.batch for each in result.candidates), default=0)
    return {
        each.candidate: each.gpu.layers
        for each in result.candidates
        if each.candidate.batch == smallest and each.gpu is not None and each.gpu.layers
    }


def _row(operator: str, kernels: Iterable[KernelWork], roof: Roof, scale: float) -> OperatorRow:
    """Return the row of an operator; no node of it may lead a kernel."""
    led = [kernel for kernel in kernels if kernel.operator == operator]
    merged = sum(kernel.merged.count(operator) for kernel in kernels)
    compute, memory = _bounds_ms(led, roof)
    return OperatorRow(
        operator=operator,
        count=sum(kernel.count for kernel in led) + merged,
        macs=sum(kernel.macs for kernel in led),
        bytes=sum(kernel.bytes for kernel in led),
        time_ms=scale * math.fsum(kernel.time_ms for kernel in led) if led else None,
        bound=_bound(compute, memory),
        roof_ms=compute + memory,
    )


def _bounds_ms(kernels: Iterable[KernelWork], roof: Roof) -> tuple[float, float]:
    """Return the time at the roof, of kernels that compute and memory hold up."""
    compute, memory = 0.0, 0.0
    for kernel in kernels:
        compute_ms = 2 * kernel.macs / peak_of(kernel.kind, roof) / 1e6
        memory_ms = kernel.bytes / roof.bandwidth_gb_s / 1e6
        if compute_ms > memory_ms:
            compute += compute_ms
        else:
            memory += memory_ms
    return compute, memory


def _bound(compute_ms: float, memory_ms: float) -> str:
    if compute_ms == memory_ms == 0:
        return "none"
    return "compute" if compute_ms > memory_ms else "memory"


def _merged(kernels: Iterable[KernelWork]) -> list[str]:
    return [operator for kernel in kernels for operator in kernel.merged]


def _nothing(operator: str, time_ms: float) -> OperatorRow:
    return OperatorRow(
        operator=operator, count=0, macs=0, bytes=0, time_ms=time_ms, bound="none", roof_ms=0.0
    )
