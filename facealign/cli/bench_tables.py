"""What a benchmark found, as tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from facealign.bench.result import BenchResult, CandidateResult, GpuTimes
from facealign.bench.roofline import OTHER, layer_times, layers_by_plan, side_by_side, times_of
from facealign.pipeline.bench import PURPOSE

__all__ = ["NOT_TRUSTED", "bench_text"]

NOT_TRUSTED = "not to be trusted as a regression"
_GAP = (0, 1)
_NOTHING = "-"
_MOST_OPERATORS = 12  # rows; all are in the JSON


def bench_text(result: BenchResult, *, width: int) -> str:
    """Return tables of times, ratios, the GPU, the rate and operators, then what to know of them.

    Args:
        result: Of a run.
        width: Of the terminal, in characters; narrow tables break words in their cells.
    """
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False)
    for table in (
        _times(result),
        _gpu(result),
        _ratios(result),
        _fixed_rate(result),
        _operators(result),
    ):
        if table is not None:
            console.print(table.title, soft_wrap=True)  # rich breaks it where the table ends
            table.title = None
            console.print(table)
            console.print()
    for line in _lines(result):
        console.print(line, soft_wrap=True)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def _times(result: BenchResult) -> Table:
    table = _table(
        "forward, ms per run of the batch; end to end from frame to landmarks, p50",
        "candidate",
        *("batch", "p50", "p90", "p95", "p99", "mean", "cv %"),
        *("end to end", "crops/s", "MB", "px p99", "px max"),
    )
    for each in result.candidates:
        forward = each.forward
        table.add_row(
            each.candidate.name,
            str(each.candidate.batch),
            *map(
                _ms,
                (forward.p50_ms, forward.p90_ms, forward.p95_ms, forward.p99_ms, forward.mean_ms),
            ),
            f"{forward.cv_percent:.1f}",
            _ms(each.end_to_end.p50_ms) if each.end_to_end else _NOTHING,
            f"{each.throughput_per_s:.1f}",
            f"{each.peak_memory_mb:.0f}",
            _px(each.p99_px),
            _px(each.max_px),
        )
    return table


def _gpu(result: BenchResult) -> Table | None:
    timed = [(each, each.gpu) for each in result.candidates if each.gpu is not None]
    if not timed:
        return None
    table = _table(
        "on the GPU, ms by its own events, median (p99)",
        *("candidate", "batch", "latency", "h2d", "compute", "d2h", "enqueue"),
        *("CUDA graph", "spin wait", "transfers"),
    )
    for each, gpu in timed:
        table.add_row(
            each.candidate.name,
            str(each.candidate.batch),
            *_gpu_cells(gpu),
            *(("yes" if on else "no") for on in (gpu.cuda_graph, gpu.spin_wait)),
            "included" if gpu.data_transfers else "none needed",
        )
    return table


def _gpu_cells(gpu: GpuTimes) -> Iterator[str]:
    for times in (
        gpu.latency,
        gpu.h2d_latency,
        gpu.gpu_compute_time,
        gpu.d2h_latency,
        gpu.enqueue_time,
    ):
        yield f"{_ms(times.median_ms)} ({_ms(times.p99_ms)})"


def _ratios(result: BenchResult) -> Table | None:
    if not result.ratios:
        return None
    table = _table(
        "how many times as fast, forward; mean over launches, interval by Student's t over them",
        *("candidate", "batch", "than", "times", "95 % interval"),
        *(["remark"] if result.state.flags else []),
    )
    for ratio in result.ratios:
        table.add_row(
            ratio.name,
            str(ratio.batch),
            ratio.baseline,
            f"{ratio.times_as_fast:.3f}",
            f"{ratio.low:.3f} to {ratio.high:.3f}",
            *([NOT_TRUSTED] if result.state.flags else []),
        )
    return table


def _fixed_rate(result: BenchResult) -> Table | None:
    if not result.fixed_rate:
        return None
    first = result.fixed_rate[0]
    table = _table(
        f"{first.frames_per_s:g} frames a second with {first.faces_per_frame} faces, ms from when "
        f"a frame was due; deadline {first.deadline_ms:.1f} ms",
        *("candidate", "frames", "p50", "p90", "p99", "max", "misses", "busy %"),
    )
    for each in result.fixed_rate:
        latency = each.latency
        table.add_row(
            each.candidate.name,
            str(each.frame_count),
            *map(_ms, (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms)),
            str(each.misses),
            f"{each.busy_percent:.0f}",
        )
    return table


def _operators(result: BenchResult) -> Table | None:
    lines = {line.candidate.name: times_of(line) for line in result.rooflines}
    plans = {plan.name: layer_times(rows) for plan, rows in layers_by_plan(result).items()}
    profiles = lines | plans
    if not profiles:
        return None
    rows = side_by_side(profiles)[:_MOST_OPERATORS]
    table = _table(
        f"operators by each engine's own profile, ms per run, the {len(rows)} slowest; "
        f"`{OTHER}` is what lies between kernels",
        *("operator", *profiles),
    )
    for row in rows:
        times = (_ms(each) if each else _NOTHING for each in row.times_ms.values())
        table.add_row(row.operator, *times)
    return table


def _lines(result: BenchResult) -> Iterator[str]:
    settings = result.settings.items()
    yield from (f"{name} {text}" for name, text in settings if name.endswith(PURPOSE))
    overheads = [text for each in result.candidates if (text := _overhead(each))]
    if overheads:
        yield f"session overhead: {', '.join(overheads)}"
    foreign = result.state.foreign_cpu_percent
    if foreign is not None:
        yield f"others took {foreign:.1f} % of the time of all cores"
    yield from (f"clocks: {name} {value}" for name, value in result.state.clocks.items())
    yield from (f"NOISY: {flag}" for flag in result.state.flags)
    if result.state.flags:
        yield f"so these ratios are {NOT_TRUSTED}; mend that and measure again"
    yield from (f"left out: {sentence}" for sentence in result.skipped)


def _overhead(each: CandidateResult) -> str:
    if each.overhead_ms is None:
        return ""
    return f"{each.candidate.name} batch {each.candidate.batch} {each.overhead_ms:+.3f} ms"


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, box=None, padding=_GAP)
    table.add_column(first, no_wrap=True)
    for name in others:
        is_text = name in {"than", "95 % interval", "remark"}
        table.add_column(name, justify="left" if is_text else "right")
    return table


def _ms(value_ms: float) -> str:
    return f"{value_ms:.3f}" if value_ms < 10 else f"{value_ms:.1f}"


def _px(value_px: float | None) -> str:
    return _NOTHING if value_px is None else f"{value_px:.4f}"
