"""One real benchmark, of two graphs of a tiny bundle, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from facealign import __version__
from facealign.bench.result import BenchResult
from facealign.bundle import Manifest
from facealign.errors import UsageError
from facealign.machine import machine_facts
from facealign.pipeline.bench import run_bench
from facealign.pipeline.bench_candidates import BenchRequest
from facealign.pipeline.progress import SILENT, Stage
from tests.unit.evaluation_data import write_two_graphs

_SHIFT_PX = 0.16  # 0.01 of a crop of 16 px


@pytest.fixture(scope="module")
def result(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
) -> BenchResult:
    """Return a benchmark of half a second, with a rate that both graphs can keep."""
    folder = tmp_path_factory.mktemp("bench") / "two.bundle"
    bundle = write_two_graphs(folder, tiny_manifest, tiny_files, shift_norm=0.01)
    request = BenchRequest(
        bundle,
        engines=("onnxruntime",),
        precisions=("fp32", "int8"),
        batches=(1,),
        seconds=0.4,
        threads=1,
        frames_per_s=50.0,
        faces_per_frame=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("facealign.pipeline.bench._LEAST_RATE_S", 0.1)
        patch.setattr("facealign.pipeline.bench_turns._LAUNCHES", 2)
        return run_bench(request)


def test_run_bench_measures_every_candidate_over_the_same_rounds(result: BenchResult) -> None:
    names = [(each.candidate.name, each.candidate.batch) for each in result.candidates]
    rounds, launches = (int(result.settings[name]) for name in ("rounds", "launches"))

    assert names == [("onnxruntime fp32", 1), ("onnxruntime int8", 1)]
    assert launches == 2
    assert rounds >= launches
    for each in result.candidates:
        assert each.forward.count == len(each.forward_samples_ms) >= rounds
        assert each.end_to_end is not None
        assert each.end_to_end.count == each.forward.count
        assert each.end_to_end.median_ms > each.forward.median_ms > 0
        assert each.throughput_per_s == pytest.approx(1e3 / each.forward.mean_ms)
        assert each.peak_memory_mb > each.base_memory_mb > 10
        assert each.open_s > 0.05


def test_run_bench_gives_the_distance_to_fp32_in_crop_pixels(result: BenchResult) -> None:
    first, second = result.candidates

    assert (first.max_px, first.p99_px) == (None, None)
    assert second.max_px == pytest.approx(_SHIFT_PX, rel=0.01)
    assert second.p99_px == pytest.approx(_SHIFT_PX, rel=0.01)


def test_run_bench_compares_with_the_first_candidate(result: BenchResult) -> None:
    (ratio,) = result.ratios

    assert (ratio.name, ratio.baseline, ratio.batch) == (
        "onnxruntime int8",
        "onnxruntime fp32",
        1,
    )
    assert 0 < ratio.low <= ratio.times_as_fast <= ratio.high
    assert 0.1 < ratio.times_as_fast < 10  # the two graphs are alike


def test_run_bench_runs_frames_at_the_rate(result: BenchResult) -> None:
    assert [each.candidate.name for each in result.fixed_rate] == [
        "onnxruntime fp32",
        "onnxruntime int8",
    ]
    for each in result.fixed_rate:
        assert each.frame_count == 5  # of 0.1 s
        assert (each.frames_per_s, each.faces_per_frame, each.deadline_ms) == (50.0, 2, 20.0)
        assert 0 < each.busy_percent <= 100


def test_run_bench_takes_the_crop_off_the_overhead_of_one_crop(result: BenchResult) -> None:
    for each in result.candidates:
        assert each.crop_ms is not None
        assert each.overhead_ms is not None
        added = np.subtract(each.end_to_end_samples_ms, each.forward_samples_ms)
        assert each.overhead_ms == pytest.approx(np.median(added) - each.crop_ms)


def test_run_bench_says_where_and_with_what_it_ran(result: BenchResult) -> None:
    assert result.bundle == "two.bundle"
    assert len(result.manifest_sha256) == 64
    assert result.facealign_version == __version__
    assert result.settings["threads"] == "1"
    assert result.settings["candidates"] == "onnxruntime fp32, onnxruntime int8"
    assert set(result.machine) == set(machine_facts())
    assert result.state.foreign_cpu_percent is None or 0 <= result.state.foreign_cpu_percent <= 100
    assert not [each for each in result.skipped if "roof for" not in each]
    assert [each.candidate.precision for each in result.rooflines] == ["fp32", "int8"]


def test_run_bench_gives_what_bench_json_holds(result: BenchResult) -> None:
    data = msgspec.json.encode(result)

    assert msgspec.json.decode(data, type=BenchResult) == result


class _Loaded:
    """Progress that keeps one core busy while candidates take turns."""

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        loads = {"turns": "while True: pass"}
        with subprocess.Popen([sys.executable, "-S", "-c", loads.get(name, "")]) as process:
            try:
                with SILENT.stage(name) as stage:
                    yield stage
            finally:
                process.kill()


def test_run_bench_flags_a_load_and_opens_fp32_to_compare_with_where_it_is_no_candidate(
    two_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("facealign.pipeline.bench_turns._LAUNCHES", 1)
    request = BenchRequest(
        two_graphs,
        engines=("onnxruntime",),
        precisions=("int8",),
        batches=(2,),
        seconds=0.1,
    )

    found = run_bench(request, _Loaded())

    assert [each.candidate.name for each in found.candidates] == ["onnxruntime int8"]
    (each,) = found.candidates
    assert each.overhead_ms is None  # of a batch of 2
    assert each.throughput_per_s == pytest.approx(2e3 / each.forward.mean_ms)
    assert found.candidates[0].max_px == pytest.approx(_SHIFT_PX, rel=0.01)
    assert found.ratios == ()
    assert found.fixed_rate == ()
    assert found.settings["threads"] == "1"
    assert any("other processes took" in flag for flag in found.state.flags)


def test_run_bench_starts_nothing_for_a_request_that_cannot_be(two_graphs: Path) -> None:
    with pytest.raises(UsageError, match=r"the bundle takes batches of 1 to 4, got 9"):
        run_bench(BenchRequest(two_graphs, batches=(9,)))
