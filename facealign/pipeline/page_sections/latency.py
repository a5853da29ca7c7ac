"""How fast each candidate is: tables of latency, its spread and course, and a fixed rate."""

from __future__ import annotations

import numpy as np

from facealign.bench.result import (
    BenchResult,
    Candidate,
    CandidateResult,
    FixedRateResult,
    GpuTimes,
    Ratio,
)
from facealign.report.page import (
    Block,
    Cell,
    Figure,
    Figures,
    LatencySeries,
    Note,
    Section,
    Table,
    latency_course_svg,
    latency_spread_svg,
)
from facealign.report.page.numbers import NONE, interval, short, thousands, times

__all__ = ["fixed_rate_section", "latency_section"]

_NOISY_CV_PERCENT = 10.0  # from here on the table says so in words
_RATE_COLUMNS = (
    *("candidate", "frames/s", "faces", "frames", "p50", "p99", "max", "deadline"),
    *("missed", "busy"),
)
_GPU_COLUMNS = (
    *("candidate", "batch", "Latency", "its p99", "Enqueue Time", "H2D Latency"),
    *("GPU Compute Time", "D2H Latency", "settings"),
)
_PERCENTILES = ("p50", "p90", "p95", "p99")


def latency_section(result: BenchResult) -> Section:
    """Return the tables and figures of all candidates."""
    if not result.candidates:
        text = "Nothing was timed; `facealign bench BUNDLE` times every graph that runs here."
        return Section("latency", "Latency", (Note(text, is_missing=True),))
    blocks: list[Block] = [_forward(result), _whole(result)]
    gpu = [(each.candidate, each.gpu) for each in result.candidates if each.gpu is not None]
    if gpu:
        blocks.append(_gpu(gpu))
    return Section("latency", "Latency", (*blocks, *_spread(result)))


def fixed_rate_section(found: tuple[FixedRateResult, ...]) -> Section:
    """Return how frames fare that come at a fixed rate."""
    blocks: tuple[Block, ...]
    if found:
        caption = (
            "Frames come whether or not the one before is done; latency is from when a frame was "
            "due to its landmarks, ms."
        )
        blocks = (Table(caption, _RATE_COLUMNS, tuple(_rate_row(each) for each in found)),)
    else:
        text = (
            "No fixed rate was asked for. With `--rate FPS --faces N` the latency under load and "
            "the missed deadlines would be here."
        )
        blocks = (Note(text, is_missing=True),)
    return Section("rate", "At a fixed rate", blocks)


def _forward(result: BenchResult) -> Table:
    rows = tuple(
        (
            each.candidate.name,
            str(each.candidate.batch),
            *(short(getattr(each.forward, f"{name}_ms")) for name in _PERCENTILES),
            _cv(each),
            short(each.throughput_per_s),
            _ratios(result.ratios, each.candidate),
        )
        for each in result.candidates
    )
    caption = (
        f"Forward: the engine alone, ms per run of a batch; {_threads(result)}; from the runs that "
        f"were measured after the warm-up, {_counts(result)} of each."
    )
    columns = ("candidate", "batch", *_PERCENTILES, "CV", "crops/s", "times as fast as")
    return Table(caption, columns, rows)


def _threads(result: BenchResult) -> str:
    found = {each.candidate.threads for each in result.candidates}
    default = result.settings.get("threads", "default")  # what the environment said, if nobody did
    return "threads: " + ", ".join(
        sorted(default if count is None else str(count) for count in found)
    )


def _counts(result: BenchResult) -> str:
    found = [each.forward.count for each in result.candidates]
    low, high = min(found), max(found)
    return thousands(low) if low == high else interval(thousands(low), thousands(high))


def _cv(found: CandidateResult) -> str | Cell:
    cv_percent = found.forward.cv_percent
    text = f"{short(cv_percent)} %"
    return Cell(text, "noisy") if cv_percent > _NOISY_CV_PERCENT else text


def _ratios(ratios: tuple[Ratio, ...], candidate: Candidate) -> str | Cell:
    own = [each for each in ratios if (each.name, each.batch) == (candidate.name, candidate.batch)]
    if not own:
        return NONE
    return Cell(
        f"{times(own[0].times_as_fast)} {own[0].baseline}",
        "; ".join(
            [
                f"95 %: {interval(short(own[0].low), short(own[0].high))}",
                *(f"{times(each.times_as_fast)} {each.baseline}" for each in own[1:]),
            ]
        ),
    )


def _whole(result: BenchResult) -> Table:
    rows = tuple(_whole_row(each) for each in result.candidates)
    caption = (
        "End to end: from a frame and boxes to landmarks, ms; what the session adds to crop and "
        "forward; memory of its own process, MB; distance to FP32 in ONNX Runtime, pixels."
    )
    columns = ("candidate", "batch", "p50", "p99", "crop", "session adds", "opens in", "memory")
    return Table(caption, (*columns, "p99 px", "largest px"), rows)


def _whole_row(each: CandidateResult) -> tuple[str | Cell, ...]:
    whole = each.end_to_end
    return (
        each.candidate.name,
        str(each.candidate.batch),
        short(None if whole is None else whole.p50_ms),
        short(None if whole is None else whole.p99_ms),
        short(each.crop_ms),
        short(each.overhead_ms),
        f"{short(each.open_s)} s",
        Cell(f"{each.peak_memory_mb:.0f}", f"{each.base_memory_mb:.0f} before"),
        "reference" if each.max_px is None else short(each.p99_px),
        "reference" if each.max_px is None else short(each.max_px),
    )


def _gpu(found: list[tuple[Candidate, GpuTimes]]) -> Table:
    rows = tuple(
        (
            candidate.name,
            str(candidate.batch),
            short(gpu.latency.median_ms),
            short(gpu.latency.p99_ms),
            short(gpu.enqueue_time.median_ms),
            short(gpu.h2d_latency.median_ms),
            short(gpu.gpu_compute_time.median_ms),
            short(gpu.d2h_latency.median_ms),
            _switches(gpu),
        )
        for candidate, gpu in found
    )
    caption = "On the GPU, by events on its stream, medians, ms; names and settings are trtexec's."
    return Table(caption, _GPU_COLUMNS, rows)


def _switches(gpu: GpuTimes) -> str:
    names = {
        "--useCudaGraph": gpu.cuda_graph,
        "--useSpinWait": gpu.spin_wait,
        "--noDataTransfers": not gpu.data_transfers,
    }
    return ", ".join(name for name, is_on in names.items() if is_on) or "none"


def _spread(result: BenchResult) -> tuple[Figures, ...]:
    """Return two figures for each batch size: the spread, and the course."""
    found = []
    for batch in dict.fromkeys(each.candidate.batch for each in result.candidates):
        series = [
            LatencySeries(each.candidate.name, np.array(each.forward_samples_ms))
            for each in result.candidates
            if each.candidate.batch == batch and each.forward_samples_ms
        ]
        if series:
            found.append(Figures((_spread_figure(series, batch), _course_figure(series, batch))))
    return tuple(found)


def _spread_figure(series: list[LatencySeries], batch: int) -> Figure:
    medians = ", ".join(f"{each.label} {short(np.median(each.times_ms))} ms" for each in series)
    return Figure(
        latency_spread_svg(series),
        "image/svg+xml",
        f"Cumulative distribution of the latencies at batch {batch}; medians: {medians}",
        f"Batch {batch}: share of the runs that took at most so long. A steep line is a steady "
        "one; the axis ends at the slowest 99th percentile.",
    )


def _course_figure(series: list[LatencySeries], batch: int) -> Figure:
    return Figure(
        latency_course_svg(series),
        "image/svg+xml",
        f"Latency of every run at batch {batch} in the order of the runs, one strip for each of "
        + ", ".join(each.label for each in series),
        f"Batch {batch}: the runs in their order. The line is the median of neighbouring runs, the "
        "band their fastest and slowest; a line that climbs is a machine that slows down.",
    )


def _rate_row(found: FixedRateResult) -> tuple[str | Cell, ...]:
    latency = found.latency
    share = 100 * found.misses / found.frame_count if found.frame_count else 0.0
    return (
        Cell(found.candidate.name, f"batch {found.candidate.batch}"),
        f"{found.frames_per_s:g}",
        str(found.faces_per_frame),
        thousands(found.frame_count),
        short(latency.p50_ms),
        short(latency.p99_ms),
        short(latency.max_ms),
        short(found.deadline_ms),
        Cell(thousands(found.misses), f"{short(share)} %"),
        f"{found.busy_percent:.0f} %",
    )
