from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bench.result import BenchResult
from tests.unit.evaluation_data import write_faces
from tests.unit.report_data import bench_result

RunCli = Callable[..., tuple[int, str, str]]
_QUICK = ("--engine=onnxruntime", "--batch=1", "--seconds=0.05", "--threads=1")
_PATIENCE_S = 60


@pytest.fixture
def one_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every process once only."""
    monkeypatch.setattr("facealign.pipeline.bench_turns._LAUNCHES", 1)


@pytest.mark.usefixtures("workspace", "one_launch")
def test_bench_prints_a_table_and_writes_the_whole_result(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("bench", "good.bundle", *_QUICK, "-o", "made")

    written = msgspec.json.decode(Path("made/bench.json").read_bytes(), type=BenchResult)
    assert code == 0
    assert re.search(r"^ onnxruntime fp32 +1 +\d", stdout, re.MULTILINE)
    assert re.search(r"^session overhead: onnxruntime fp32 batch 1 [+-]\d", stdout, re.MULTILINE)
    assert written.bundle == "good.bundle"
    assert written.candidates[0].forward.count == len(written.candidates[0].forward_samples_ms)
    assert stderr.splitlines()[0].startswith("[1/5] bundle")
    assert stderr.splitlines()[-2:] == ["wrote: made/bench.json", "wrote: made/report.html"]
    assert Path("made/report.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.usefixtures("workspace", "one_launch")
def test_bench_with_a_data_set_evaluates_for_the_report(
    run_cli: RunCli, frame: NDArray[np.uint8]
) -> None:
    write_faces(Path("faces"), Path("good.bundle"), frame)

    code, stdout, stderr = run_cli(
        "bench", "good.bundle", *_QUICK, "--precision=fp32", "--dataset=faces", "--json"
    )

    stages = [line.split("  ")[0].strip() for line in stderr.splitlines()]
    facts = json.loads(stdout)
    assert (code, facts["code"]) == (0, 0)
    assert stages == [
        *("[ 1/10] bundle", "[ 2/10] open", "[ 3/10] turns", "[ 4/10] roofline"),
        *("[ 5/10] bundle", "[ 6/10] data set", "[ 7/10] run", "[ 8/10] jitter"),
        *("[ 9/10] score", "[10/10] write"),
    ]
    assert facts["written"] == ["bench/bench.json", "bench/report.html"]
    assert facts["candidates"][0]["forward"]["count"] > 0
    assert "forward_samples_ms" not in facts["candidates"][0]
    assert "12 faces" in Path("bench/report.html").read_text()


@pytest.mark.usefixtures("workspace")
def test_bench_with_a_data_set_needs_the_libraries_of_the_report_at_once(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.report.page.html.find_spec", lambda _: None)

    code, stdout, stderr = run_cli("bench", "good.bundle", *_QUICK, "--dataset=empty")

    assert (code, stdout) == (7, "")
    assert stderr.startswith("error: the HTML report needs `jinja2`, which is not installed; ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("nope.bundle", 2, "there is no bundle at `nope.bundle`"),
        ("good.bundle --engine onxruntime", 2, "no engine 'onxruntime'; did you mean"),
        ("good.bundle --engine ,", 2, "',' is not NAME,NAME; pass for example `--engine onnx"),
        ("good.bundle --batch 1,x", 2, "batch '1,x' is not N,N; pass for example `--batch 1,4`"),
        ("good.bundle --batch 99", 2, "the bundle takes batches of 1 to 4, got 99"),
        ("good.bundle --seconds 0", 2, "`seconds` must be 0.01 to 100000, got 0"),
        ("good.bundle -o /proc/x", 2, "cannot write to `/proc`: .*; pass `--output`"),
        ("good.bundle --dataset nope", 2, "`nope` is no folder of a data set"),
        ("good.bundle --dataset empty", 2, "folder `empty` is no data set"),
        ("good.bundle --engine tensorrt", 7, "TensorRT is not installed; on a PC"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_bench_ends_in_one_error_line_and_writes_nothing(
    run_cli: RunCli, arguments: str, code: int, message: str
) -> None:
    found, stdout, stderr = run_cli("bench", *arguments.split())

    assert (found, stdout) == (code, "")
    assert re.match(f"error: .*{message}", stderr.splitlines()[-1])
    assert not Path("bench").exists()


@pytest.mark.usefixtures("workspace")
def test_bench_keeps_what_it_measured_when_an_image_of_the_data_set_is_broken(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, frame: NDArray[np.uint8]
) -> None:
    write_faces(Path("faces"), Path("good.bundle"), frame)
    broken = Path("faces/WFLW_images/a.png")
    broken.write_text("hello")
    module = sys.modules["facealign.cli.bench"]
    monkeypatch.setattr(module, "run_bench", lambda *_arguments: bench_result())

    code, _, stderr = run_cli("bench", "good.bundle", "--dataset=faces")

    written = msgspec.json.decode(Path("bench/bench.json").read_bytes(), type=BenchResult)
    assert code == 2
    assert re.match(f"error: .*{broken.name}", stderr.splitlines()[-1])
    assert written == bench_result()
    assert [each.name for each in Path("bench").iterdir()] == ["bench.json"]


@pytest.mark.usefixtures("workspace")
def test_bench_ends_its_processes_and_writes_nothing_when_it_is_interrupted(
    command: tuple[str, ...],
) -> None:
    arguments = (
        *command,
        "bench",
        "good.bundle",
        "--engine=onnxruntime",
        "--batch=1",
        "--seconds=60",
    )
    with subprocess.Popen(
        arguments, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        opened = [process.stderr.readline() for _ in range(2)]

        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, stderr = process.communicate(timeout=_PATIENCE_S)

    assert opened[1].startswith("[2/5] open")
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "error: interrupted; nothing is half-written"
    assert not Path("bench").exists()
    with pytest.raises(ProcessLookupError):  # nobody of its group is left
        os.killpg(process.pid, 0)
