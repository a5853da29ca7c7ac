from __future__ import annotations

import re

import msgspec
import pytest

from facealign.bench.latency import latency_of
from facealign.bench.result import (
    BenchResult,
    Candidate,
    CandidateResult,
    FixedRateResult,
    GpuTimes,
    MachineState,
    Ratio,
)
from facealign.cli.bench_tables import bench_text
from tests.unit.report_data import bench_result

_WIDTH = 160


def _candidate(precision: str, *, engine: str = "onnxruntime") -> Candidate:
    return Candidate(engine=engine, precision=precision, batch=1, threads=None)


def _measured(precision: str, run_ms: float, *, px: float | None = None) -> CandidateResult:
    return CandidateResult(
        candidate=_candidate(precision),
        forward=latency_of([run_ms]),
        end_to_end=latency_of([run_ms + 0.5]),
        crop_ms=0.4,
        forward_samples_ms=(run_ms,),
        end_to_end_samples_ms=(run_ms + 0.5,),
        throughput_per_s=1e3 / run_ms,
        open_s=0.5,
        peak_memory_mb=131.4,
        base_memory_mb=52.0,
        max_px=px,
        p99_px=px,
    )


@pytest.fixture
def result() -> BenchResult:
    """Return a quiet run of two candidates."""
    return BenchResult(
        schema_version=1,
        bundle="demo.bundle",
        title="SLPT",
        manifest_sha256="0" * 64,
        facealign_version="0.1.0",
        commit=None,
        made_at="2026-01-01T00:00:00+00:00",
        settings={"rounds": "9", "int8 is for": "TensorRT"},
        machine={},
        state=MachineState(
            clocks={"governor": "performance"}, load_before=0.1, foreign_cpu_percent=0.6, flags=()
        ),
        candidates=(_measured("fp32", 20.0), _measured("int8", 8.0, px=0.25)),
        ratios=(
            Ratio(
                name="onnxruntime int8",
                baseline="onnxruntime fp32",
                batch=1,
                times_as_fast=2.5,
                low=2.4512,
                high=2.5498,
            ),
        ),
        skipped=("tensorrt does not work here: no GPU",),
    )


def test_bench_text_has_a_row_for_each_candidate(result: BenchResult) -> None:
    lines = bench_text(result, width=_WIDTH).splitlines()

    rows = [line.split() for line in lines]
    head = next(row for row in rows if "p50" in row and "p90" in row)
    assert head[:8] == ["candidate", "batch", "p50", "p90", "p95", "p99", "mean", "cv"]
    times = ["20.0"] * 5
    assert ["onnxruntime", "fp32", "1", *times, "0.0", "20.5", "50.0", "131", "-", "-"] in rows
    times = ["8.000"] * 5
    expected = ["onnxruntime", "int8", "1", *times, "0.0", "8.500", "125.0", "131"]
    assert [*expected, "0.2500", "0.2500"] in rows


def test_bench_text_has_ratios_with_intervals(result: BenchResult) -> None:
    text = bench_text(result, width=_WIDTH)

    assert re.search(
        r"onnxruntime int8 +1 +onnxruntime fp32 +2\.500 +2\.451 to 2\.550$", text, re.MULTILINE
    )
    assert "not to be trusted" not in text


def test_bench_text_says_that_ratios_of_a_noisy_run_tell_of_no_regression(
    result: BenchResult,
) -> None:
    flags = ("other processes took 48 % of the time of all cores (more than 5 %)",)
    state = msgspec.structs.replace(result.state, flags=flags)

    text = bench_text(msgspec.structs.replace(result, state=state), width=_WIDTH)

    assert re.search(r"2\.451 to 2\.550 +not to be trusted as a regression$", text, re.MULTILINE)
    assert f"NOISY: {flags[0]}\n" in text
    assert "so these ratios are not to be trusted as a regression; mend that and measure" in text


def test_bench_text_tells_purposes_overhead_clocks_and_what_is_absent(
    result: BenchResult,
) -> None:
    lines = bench_text(result, width=_WIDTH).splitlines()

    assert lines[-5:] == [
        "int8 is for TensorRT",
        "session overhead: onnxruntime fp32 batch 1 +0.100 ms, onnxruntime int8 batch 1 +0.100 ms",
        "others took 0.6 % of the time of all cores",
        "clocks: governor performance",
        "left out: tensorrt does not work here: no GPU",
    ]


def test_bench_text_has_what_was_run_at_a_fixed_rate(result: BenchResult) -> None:
    at_rate = FixedRateResult(
        candidate=_candidate("fp32"),
        frames_per_s=30.0,
        faces_per_frame=2,
        frame_count=60,
        deadline_ms=33.333,
        misses=7,
        latency=latency_of([20.0, 40.0]),
        busy_percent=61.7,
    )

    text = bench_text(msgspec.structs.replace(result, fixed_rate=(at_rate,)), width=_WIDTH)

    assert "30 frames a second with 2 faces, ms from when a frame was due; deadline 33.3" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["onnxruntime", "fp32", "60", "20.0", "40.0", "40.0", "40.0", "7", "62"] in rows


def test_bench_text_has_the_gpu_times_with_the_settings_that_they_depend_on(
    result: BenchResult,
) -> None:
    gpu = GpuTimes(
        latency=latency_of([3.0]),
        enqueue_time=latency_of([0.1]),
        h2d_latency=latency_of([0.5]),
        gpu_compute_time=latency_of([2.25]),
        d2h_latency=latency_of([0.25]),
        cuda_graph=True,
        spin_wait=False,
        data_transfers=True,
    )
    timed = msgspec.structs.replace(
        result.candidates[0], candidate=_candidate("fp16", engine="tensorrt"), gpu=gpu
    )

    text = bench_text(msgspec.structs.replace(result, candidates=(timed,)), width=_WIDTH)

    row = next(line for line in text.splitlines() if "(3.000)" in line)
    assert row.split() == [
        *("tensorrt", "fp16", "1", "3.000", "(3.000)", "0.500", "(0.500)", "2.250", "(2.250)"),
        *("0.250", "(0.250)", "0.100", "(0.100)", "yes", "no", "included"),
    ]


def test_bench_text_has_the_operators_of_graphs_and_plans_side_by_side(
    result: BenchResult,
) -> None:
    made_up = bench_result()
    profiled = msgspec.structs.replace(
        result, candidates=made_up.candidates, rooflines=made_up.rooflines[:1]
    )

    lines = bench_text(profiled, width=_WIDTH).splitlines()

    start = next(i for i, line in enumerate(lines) if line.startswith("operators by each engine's"))
    assert lines[start].endswith("ms per run, the 12 slowest; `other` is what lies between kernels")
    assert lines[start + 1].split() == ["operator", "onnxruntime", "fp32", "tensorrt", "fp16"]
    assert lines[start + 2].split()[::2] == ["Conv", "0.420"]
    assert ["TensorRT", "-", "0.030"] in [line.split() for line in lines[start:]]
    assert lines[start + 14] == ""


def test_bench_text_keeps_names_whole_on_a_narrow_terminal(result: BenchResult) -> None:
    lines = bench_text(result, width=80).splitlines()

    assert max(map(len, lines[:4])) <= 80
    assert any(line.strip().startswith("onnxruntime fp32") for line in lines)
