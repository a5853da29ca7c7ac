"""FP16 and INT8 from the command line: made, left out, or refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from make_checkpoint import recipe_state_dict

from facealign.bundle import read_bundle
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.models.families.slpt import FAMILY
from facealign.pipeline import compile as compiling
from facealign.runtime import open_session
from tests.unit.face_folders import BOX, HEIGHT_PX, WIDTH_PX, write_boxed, write_wflw

RunCli = Callable[..., tuple[int, str, str]]
TINY = "export tiny.pt --asset mean-shape=mean.npy --set heads=4"
ALL = "--precision fp32,fp16,int8 --calibration faces --observer min_max"
HUGE = "--budget-nme 50"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny SLPT of recipe weights, labelled faces, and boxes without."""
    folder = tmp_path_factory.mktemp("precision")
    hyperparameters = FAMILY.tiny()["slpt"]
    assets = FAMILY.made_up_assets(hyperparameters)
    network = FAMILY.build_network(hyperparameters, assets)
    torch.save(recipe_state_dict(network), folder / "tiny.pt")
    np.save(folder / "mean.npy", assets["mean-shape"])
    write_wflw(folder / "faces", train=12, test=10)
    write_boxed(folder / "boxed", count=24)
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def traced_once() -> Callable[..., ir.Model]:
    """Return `trace` that remembers; it is the slowest stage, and every test here has one graph."""
    trace = compiling.trace

    @cache
    def remembered(size_px: int, output_names: tuple[str, ...]) -> bytes:
        return bytes_from_graph(trace(module[0], size_px=size_px, output_names=output_names))

    module: list[torch.nn.Module] = []

    def trace_once(
        exportable: torch.nn.Module, *, size_px: int, output_names: tuple[str, ...]
    ) -> ir.Model:
        module[:] = [exportable]
        return graph_from_bytes(remembered(size_px, output_names))

    return trace_once


@pytest.fixture
def folder(
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    traced_once: Callable[..., ir.Model],
) -> Path:
    """Return the working folder, a copy of `files`."""
    monkeypatch.setattr(compiling, "trace", traced_once)
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_export_makes_every_precision_with_its_verdict(run_cli: RunCli, folder: Path) -> None:
    code, stdout, stderr = run_cli(*f"{TINY} {ALL} {HUGE}".split())

    bundle = read_bundle(folder / "tiny.bundle")
    entries = bundle.manifest.graphs
    assert (code, stdout) == (0, "tiny.bundle\n")
    assert {"fp32", "fp16", "int8"} <= set(entries)
    assert entries["fp32"].verdict is None
    for name in ("fp16", "int8"):
        verdict = entries[name].verdict
        assert verdict is not None
        assert (verdict.faces, verdict.face_count) == ("wflw test", 10)
    assert re.search(r"\[\d+/11\] calibrate .* ok .*min_max, \d+ tensors", stderr)
    assert re.search(r"\] int8 .* % of the work.* times as fast as FP32 in ONNX Runtime", stderr)
    assert not list(folder.glob(".*"))


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_exported_precisions_open_and_agree(run_cli: RunCli) -> None:
    _, stdout, _ = run_cli(*f"{TINY} {ALL} {HUGE}".split())
    frame = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)

    found = {}
    for name in ("fp32", "fp16", "int8"):
        with open_session(Path(stdout.strip()), precision=name) as session:
            found[name] = session.run(frame, BOX[None]).xy

    assert found["fp32"].shape == (1, 98, 2)
    assert 0 < np.abs(found["fp16"] - found["fp32"]).max() < 1
    assert 0 < np.abs(found["int8"] - found["fp32"]).max() < 10


@pytest.mark.slow
def test_exported_reports_hold_the_table(run_cli: RunCli, folder: Path) -> None:
    run_cli(*f"{TINY} {ALL} {HUGE}".split())

    report = json.loads((folder / "tiny.bundle" / "reports" / "precision.json").read_text())
    (trial,) = report["precisions"]["int8"]["trials"]
    faces = json.loads((folder / "tiny.bundle" / "calibration" / "faces.json").read_text())
    ranges = json.loads((folder / "tiny.bundle" / "calibration" / "ranges.json").read_text())
    assert (report["faces"], report["face_count"]) == ("wflw test", 10)
    assert trial["onnxruntime_times_as_fast_as_fp32"] > 0
    assert {face["image"][:5] for face in faces["faces"]} == {"train"}
    assert ranges["crop_count"] == 12


@pytest.mark.slow
def test_export_refuses_int8_by_name_with_a_table(run_cli: RunCli, folder: Path) -> None:
    before = sorted(folder.rglob("*"))

    code, stdout, stderr = run_cli(*f"{TINY} {ALL} --budget-nme 0".split())

    assert (code, stdout) == (5, "")
    assert re.search(
        r"^error: INT8 is refused: .*; most sensitive: block-\d\d ", stderr, re.MULTILINE
    )
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_export_leaves_int8_out_when_nobody_named_it(run_cli: RunCli, folder: Path) -> None:
    code, _, stderr = run_cli(*f"{TINY} --calibration boxed --budget-nme 0".split())

    manifest = read_bundle(folder / "tiny.bundle").manifest
    assert code == 0
    assert set(manifest.graphs) == {"fp32", "fp16"}
    assert re.search(r"\] int8 .*left out: INT8 is refused: ", stderr)
    assert manifest.graphs["fp16"].verdict is not None
    assert manifest.graphs["fp16"].verdict.nme_percent is None


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
        pytest.param(f"{ALL} --budget-nme much", "'much' is not a valid float", id="no-number"),
        pytest.param("--calibration nowhere", "`nowhere` is no folder of a data set", id="folder"),
        pytest.param("--calibration empty", "`empty` is no data set with a split", id="empty"),
        pytest.param(f"{ALL} --faces 9", "9 is not in the range x>=10", id="few"),
        pytest.param(f"{ALL} --observer mean", "'mean' is not one of", id="observer"),
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
