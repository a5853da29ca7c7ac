"""FP16 and INT8 from the command line: made, left out, or refused in one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from facealign.bundle import Manifest, read_bundle
from facealign.runtime import open_session
from tests.unit.face_folders import BOX, HEIGHT_PX, WIDTH_PX, write_boxed

RunCli = Callable[..., tuple[int, str, str]]
Exported = tuple[Path, subprocess.CompletedProcess[str]]
TINY = "export tiny.pt --asset graph=graph.npy"
ALL = "--precision fp32,fp16,int8 --calibration faces --observer min_max"
pytestmark = pytest.mark.timeout(300)
REDUCED = pytest.mark.parametrize("precision", ["fp16", "int8"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_sdfl: Path) -> Path:
    """Return a folder with a tiny checkpoint and faces with boxes."""
    folder = tmp_path_factory.mktemp("precision")
    shutil.copytree(tiny_sdfl, folder, dirs_exist_ok=True)
    write_boxed(folder / "faces", count=30)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def made(
    files: Path, command: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """Return the folder in which all precisions were made with a large budget, and the process."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(files, folder, dirs_exist_ok=True)
    process = subprocess.run(
        [*command, *TINY.split(), *ALL.split(), "--budget-nme=50"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder, process


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder, a copy of `files`."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest_in(folder: Path) -> Manifest:
    return read_bundle(folder / "tiny.bundle").manifest


@pytest.mark.slow
def test_export_makes_all_precisions_in_its_stages(made: Exported) -> None:
    folder, process = made

    assert (process.returncode, process.stdout) == (0, f"{folder / 'tiny.bundle'}\n")
    assert {"fp32", "fp16", "int8"} <= set(manifest_in(folder).graphs)
    assert re.search(r"^\[10/11\] int8 .* ok .* % of the work", process.stderr, re.MULTILINE)
    assert "times as fast as FP32 in ONNX Runtime" in process.stderr
    assert not list(folder.glob(".*"))


@pytest.mark.slow
@REDUCED
def test_exported_precision_has_a_verdict(made: Exported, precision: str) -> None:
    graphs = manifest_in(made[0]).graphs

    verdict = graphs[precision].verdict
    assert verdict is not None
    assert verdict.faces == "folder faces, without annotations"
    assert (verdict.crops_from, verdict.nme_percent) == ("box", None)
    assert graphs["fp32"].verdict is None


@pytest.mark.slow
@REDUCED
def test_exported_precision_opens_and_is_near_fp32(made: Exported, precision: str) -> None:
    bundle = made[0] / "tiny.bundle"
    frame = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)

    with open_session(bundle) as full, open_session(bundle, precision=precision) as reduced:
        off_px = np.abs(full.run(frame, BOX[None]).xy - reduced.run(frame, BOX[None]).xy)

    assert off_px.shape == (1, 29, 2)
    assert 0 < off_px.max() < 5


@pytest.mark.slow
def test_exported_reports_hold_the_table_the_faces_and_the_ranges(made: Exported) -> None:
    bundle = made[0] / "tiny.bundle"

    report = json.loads((bundle / "reports" / "precision.json").read_text())
    faces = json.loads((bundle / "calibration" / "faces.json").read_text())
    ranges = json.loads((bundle / "calibration" / "ranges.json").read_text())
    trial = report["precisions"]["int8"]["trials"][-1]
    assert trial["onnxruntime_times_as_fast_as_fp32"] > 0
    assert len(faces["faces"]) == ranges["crop_count"] == 30 - report["face_count"]


@pytest.mark.slow
def test_export_refuses_int8_that_was_named(run_cli: RunCli, folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    code, stdout, stderr = run_cli(*f"{TINY} {ALL} --budget-nme 0".split())

    assert (code, stdout) == (5, "")
    assert "error: INT8 is refused: even with " in stderr
    assert "; most sensitive: block-" in stderr
    assert "times as fast as FP32 in ONNX Runtime" in stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_export_leaves_out_int8_that_nobody_named(run_cli: RunCli, folder: Path) -> None:
    code, _, stderr = run_cli(*f"{TINY} --calibration faces --budget-nme 0".split())

    assert code == 0
    assert set(manifest_in(folder).graphs) == {"fp32", "fp16"}
    assert re.search(r"\] int8 .*left out: INT8 is refused: ", stderr)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            "--precision fp32,int4", "no precision 'int4'; choose from fp32, fp16, int8", id="name"
        ),
        pytest.param("--precision fp32,", "there is no precision ''; choose", id="comma"),
        pytest.param("--precision fp16", "pass `--precision fp32,...`", id="no-fp32"),
        pytest.param(
            "--precision fp32,int8", "INT8 needs faces to calibrate on; pass `--cal", id="no-faces"
        ),
        pytest.param(f"{ALL} --budget-nme -1", "must be 0 or more, got -1.0", id="negative"),
        pytest.param(f"{ALL} --budget-nme nan", "must be 0 or more, got nan", id="nan"),
        pytest.param("--calibration nowhere", "`nowhere` is no folder of a data set", id="folder"),
        pytest.param("--calibration empty", "`empty` is no data set with a split", id="empty"),
        pytest.param(f"{ALL} --faces 9", "should be greater than or equal to 10", id="few"),
        pytest.param(f"{ALL} --observer mean", "there is no observer 'mean'", id="observer"),
        pytest.param(f"{ALL} --crops-from nose", "'nose' is not one of", id="crops-from"),
        pytest.param(
            "--precision fp32,int8 --calibration faces --int8-rest fp16",
            "`--int8-rest fp16` puts INT8 into the FP16 graph",
            id="rest",
        ),
    ],
)
def test_export_refuses_bad_options_in_one_line_before_it_works(
    run_cli: RunCli, folder: Path, options: str, message: str
) -> None:
    before = sorted(folder.rglob("*"))

    code, stdout, stderr = run_cli(*TINY.split(), *options.split())

    assert (code, stdout) == (2, "")
    assert re.fullmatch(rf"error: .*{re.escape(message)}.*\n", stderr)
    assert sorted(folder.rglob("*")) == before
