from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Manifest
from tests.unit.evaluation_data import write_faces, write_two_graphs

RunCli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_manifest: Manifest,
    tiny_files: dict[str, bytes],
    frame: NDArray[np.uint8],
) -> Path:
    """Return the working folder: a bundle of two graphs, labelled faces, and boxes without."""
    monkeypatch.chdir(tmp_path)
    bundle = write_two_graphs(Path("two.bundle"), tiny_manifest, tiny_files, shift_norm=0.01)
    write_faces(Path("faces"), bundle, frame)
    Path("boxed").mkdir()
    cv2.imwrite("boxed/a.png", frame)
    Path("boxed/boxes.csv").write_text("image,x,y,w,h\na.png,5.5,4,65,62\na.png,25,16,65,62\n")
    Path("empty").mkdir()
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_eval_prints_each_graph_beside_fp32(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("eval", "two.bundle", "faces", "--crops-from", "box")

    lines = stdout.splitlines()
    assert code == 0
    assert lines[0] == "faces   wflw test, 12 faces, wflw98"
    assert lines[1] == (
        "crops   from the data set's box: 1.15 times its larger side, integer centre, 16 px, "
        "bilinear"
    )
    assert lines[2].startswith("NME     % of the distance of the outer eye corners")
    assert re.search(r"^fp32 .*faces +NME +FR@10 +AUC@10 +P90$", stdout, re.MULTILINE)
    assert re.search(r"^ +all +12 +5\.000 +0\.00 +50\.00 +5\.000$", stdout, re.MULTILINE)
    change = r"-\d\.\d{3} \[-\d\.\d{3}, -\d\.\d{3}\]$"
    assert re.search(rf"^ +all +12 +\d\.\d{{3}} .* {change}", stdout, re.MULTILINE)
    assert re.search(r"^ +blur +1 .*\(too few faces\)$", stdout, re.MULTILINE)
    assert re.search(r"^drift +int8  mean .*; mean 0\.1600, p99 0\.1600", stdout, re.MULTILINE)
    assert re.search(r"^jitter +fp32  0\.\d{4} px .* over 8 faces", stdout, re.MULTILINE)
    assert stderr.startswith("[1/5] bundle")


@pytest.mark.usefixtures("folder")
def test_eval_of_boxes_says_that_there_are_no_scores(run_cli: RunCli) -> None:
    code, stdout, _ = run_cli("eval", "two.bundle", "boxed")

    assert code == 0
    assert "scores  none, as there are no labels: drift and jitter only\n" in stdout
    assert "faces   boxed, 2 faces, wflw98\n" in stdout
    assert "NPE90" not in stdout


@pytest.mark.usefixtures("folder")
def test_eval_with_json_prints_one_object(run_cli: RunCli) -> None:
    code, stdout, _ = run_cli(
        *("eval", "two.bundle", "faces", "--precision", "int8", "--limit", "10"),
        *("--normalisation", "box", "--json"),
    )

    result = json.loads(stdout)
    assert (code, result["code"], result["bundle"]) == (0, 0, "two.bundle")
    assert (result["face_count"], result["total_count"]) == (10, 12)
    assert (result["normalisation"], result["crops"]["from"]) == ("box", "landmarks")
    assert list(result["precisions"]) == ["fp32", "int8"]
    assert result["precisions"]["int8"]["all"]["difference"]["face_count"] == 10
    assert result["written"] == []


def test_eval_writes_its_report_and_pictures(run_cli: RunCli, folder: Path) -> None:
    code, _, stderr = run_cli("eval", "two.bundle", "faces", "-o", "out/here")

    written = sorted(path.name for path in (folder / "out" / "here").iterdir())
    report = json.loads((folder / "out" / "here" / "evaluation.json").read_text())
    assert code == 0
    assert written == ["ced.svg", "evaluation.json", "worst.png"]
    assert [face["image"] for face in report["faces"]] == ["a.png"] * 6 + ["b.png"] * 6
    assert re.search(r"\[6/6\] write .* evaluation.json, ced.svg, worst.png\n", stderr)
    assert stderr.endswith("wrote: out/here/worst.png\n")


def test_eval_of_boxes_writes_no_curve(run_cli: RunCli, folder: Path) -> None:
    run_cli("eval", "two.bundle", "boxed", "-o", "out")

    written = sorted(path.name for path in (folder / "out").iterdir())
    assert written == ["evaluation.json", "worst.png"]


def test_eval_writes_the_same_bytes_twice(run_cli: RunCli, folder: Path) -> None:
    run_cli("eval", "two.bundle", "faces", "-o", "one")
    run_cli("eval", "two.bundle", "faces", "-o", "two")

    first, second = (
        {path.name: path.read_bytes() for path in (folder / name).iterdir()}
        for name in ("one", "two")
    )
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("two.bundle empty", "`empty` is no data set with a split 'test'", id="empty"),
        pytest.param("two.bundle nowhere", "`nowhere` is no folder of a data set", id="no-folder"),
        pytest.param("empty faces", "`empty` is not a bundle", id="no-bundle"),
        pytest.param(
            "two.bundle faces --precision fp32,int4",
            "no 'int4' graph; choose from fp32, int8",
            id="precision",
        ),
        pytest.param(
            "two.bundle faces --precision fp32,",
            "precision 'fp32,' is not NAME,NAME; pass for example `fp32,int8`",
            id="precision-comma",
        ),
        pytest.param("two.bundle faces --split val", "no data set has a split 'val'", id="split"),
        pytest.param("two.bundle faces --limit 0", "limit must be 1 or more, got 0", id="limit"),
        pytest.param(
            "two.bundle boxed --crops-from landmarks",
            "2 of 2 faces have no landmarks to crop from",
            id="crops-from",
        ),
        pytest.param("two.bundle faces --normalisation ears", "'ears' is not one of", id="ears"),
        pytest.param("two.bundle faces -o boxed/a.png", "cannot write to `", id="file"),
        pytest.param("two.bundle faces -o /proc/out", "cannot write to `/proc`", id="unwritable"),
    ],
)
def test_eval_refuses_in_one_line(
    run_cli: RunCli, folder: Path, arguments: str, message: str
) -> None:
    before = sorted(folder.rglob("*"))

    code, stdout, stderr = run_cli("eval", *arguments.split())

    (error,) = (line for line in stderr.splitlines() if line.startswith("error: "))
    assert (code, stdout) == (2, "")
    assert message in error
    assert "Traceback" not in stderr
    assert sorted(folder.rglob("*")) == before


def test_eval_names_missing_and_broken_images(run_cli: RunCli, folder: Path) -> None:
    image = folder / "faces" / "WFLW_images" / "b.png"
    image.write_text("hello")
    broken = run_cli("eval", "two.bundle", "faces")
    image.unlink()

    missing = run_cli("eval", "two.bundle", "faces")

    assert (broken[0], missing[0]) == (2, 2)
    assert "b.png` is no image that OpenCV can read; check the file" in broken[2].splitlines()[-1]
    assert "1 of the 2 images" in missing[2]


@pytest.mark.usefixtures("folder")
def test_eval_without_matplotlib_says_what_to_install_before_it_runs(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.report.drawing.find_spec", lambda _name: None)

    code, _, stderr = run_cli("eval", "two.bundle", "faces", "-o", "out")

    assert code == 7
    assert stderr.count("\n") == 1
    assert 'install it with `pip install "facealign[report]"`' in stderr
