"""Every bad input: its exit code, and the one line that tells what is wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facealign.cli.app import main_export
from facealign.errors import DatasetError

RunCli = Callable[..., tuple[int, str, str]]

TINY = "export tiny.pt --asset mean-shape=mean.npy --set heads=4"
# Arguments, exit code, and what the error line must say; in the folder `workspace`.
BAD_INPUTS = {
    "command_misspelt": (
        "exportt tiny.pt",
        2,
        r"no such command 'exportt'; did you mean 'export'\?",
    ),
    "command_unknown": ("frobnicate", 2, "no such command 'frobnicate'; see `facealign --help`"),
    "option_misspelt": ("export tiny.pt --asest a=b", 2, "--asest .*--asset"),
    "option_unknown": ("run good.bundle face.png --zzz", 2, "--zzz; see `facealign run --help`"),
    "argument_missing": ("run good.bundle", 2, "missing argument 'SOURCE'; see `facealign run"),
    "argument_surplus": ("inspect tiny.pt more", 2, "unexpected extra argument"),
    "option_without_value": ("export tiny.pt --family", 2, "--family.* requires an argument"),
    "checkpoint_missing": ("export nope.pt", 3, "checkpoint `nope.pt` does not exist"),
    "checkpoint_misspelt": ("export tinny.pt", 3, "did you mean `tiny.pt`"),
    "checkpoint_folder": ("export occupied", 3, r"`occupied` is a folder \(expected a file\)"),
    "checkpoint_text": ("export text.pt", 3, "`text.pt`"),
    "checkpoint_empty": ("export empty.pt", 3, r"`empty.pt` is empty \(0 bytes\)"),
    "checkpoint_hostile": ("export evil.pt", 3, "`evil.pt`.*print"),
    "checkpoint_one_tensor": ("export tensor.pt", 3, "holds one tensor"),
    "checkpoint_nan": ("export nan.pt --set heads=4", 3, "`out_layer.weight` holds .* NaN"),
    "checkpoint_of_no_family": ("export unknown.pt", 3, "no family fits .* slpt: 0 of 10 keys"),
    "checkpoint_lacks_key": (
        TINY.replace("tiny.pt", "lacking.pt"),
        3,
        "1 missing key: `out_layer.bias`",
    ),
    "family_misspelt": ("export tiny.pt --family sltp", 3, "no family `sltp`; did you mean `slpt`"),
    "asset_absent": ("export tiny.pt --set heads=4", 3, "pass `--asset mean-shape=FILE`"),
    "asset_misspelt": (f"{TINY} --asset mean-shap=x", 2, "`mean-shap`; did you mean `mean-shape`"),
    "asset_malformed": (f"{TINY} --asset mean-shape", 2, "'mean-shape' is not NAME=FILE"),
    "asset_twice": (f"{TINY} --asset mean-shape=mean.npy", 2, "`mean-shape` is given twice"),
    "asset_file_missing": (TINY.replace("mean.npy", "x.npy"), 3, "asset `x.npy` does not exist"),
    "asset_of_another_scheme": (TINY.replace("mean.npy", "short.npy"), 3, "98"),
    "setting_malformed": ("export tiny.pt --set heads=four", 2, "'heads=four' is not NAME=NUMBER"),
    "setting_misspelt": ("export tiny.pt --set haeds=4", 2, "`haeds`; did you mean `heads`"),
    "setting_twice": ("export tiny.pt --set heads=4 --set heads=4", 2, "`heads` is given twice"),
    "setting_unfit": ("export tiny.pt --set heads=5", 3, "5 heads cannot share 16 channels"),
    "output_occupied": (f"{TINY} -o occupied", 2, "`occupied` is not empty and not a bundle"),
    "output_below_a_file": (
        f"{TINY} -o mean.npy/x",
        2,
        "cannot write to .*: Not a directory; pass `--output`",
    ),
    "output_unwritable": (f"{TINY} -o /proc/x", 2, "cannot write to `/proc`: .*; pass `--output`"),
    "graph_missing": ("inspect nope.onnx", 2, "cannot read graph `nope.onnx`: No such file"),
    "graph_text": ("inspect text.onnx", 2, "`text.onnx` is no ONNX model"),
    "bundle_missing": ("inspect nope.bundle", 2, "`nope.bundle`"),
    "bundle_other_folder": ("inspect occupied", 2, "`occupied`"),
    "verify_bundle_missing": ("verify nope.bundle", 2, "`nope.bundle`"),
    "verify_asset_alone": ("verify good.bundle --asset a=b", 2, "pass `--checkpoint FILE` too"),
    "verify_other_checkpoint": ("verify good.bundle --checkpoint tiny.pt", 3, "no family `tiny`"),
    "run_bundle_missing": ("run nope.bundle face.png", 2, "`nope.bundle`"),
    "run_engine_misspelt": (
        "run good.bundle face.png --engine onxruntime",
        2,
        "no engine 'onxruntime'; did you mean 'onnxruntime'",
    ),
    "image_missing": ("run good.bundle nope.png", 2, "cannot read image `nope.png`: No such file"),
    "image_text": ("run good.bundle text.png", 2, "`text.png` is no image that OpenCV can read"),
    "image_empty": ("run good.bundle empty.png", 2, "`empty.png` is no image"),
    "image_folder_empty": ("run good.bundle empty", 2, r"folder `empty` has no images \(endings "),
    "box_of_three": ("run good.bundle face.png --box 1,2,3", 2, "'1,2,3' is not X,Y,W,H; pass"),
    "box_of_words": ("run good.bundle face.png --box a,b,c,d", 2, "'a,b,c,d' is not X,Y,W,H"),
    "box_nan": ("run good.bundle face.png --box nan,2,3,4", 2, "box 'nan,2,3,4' has no area"),
    "box_flat": ("run good.bundle face.png --box 1,2,0,4", 2, "'1,2,0,4' has no area"),
    "box_inverted": ("run good.bundle face.png --box 9,9,-5,4", 2, "'9,9,-5,4' has no area"),
    "box_outside": (
        "run good.bundle face.png --box 500,9,50,40",
        2,
        r"image `face.png`: box 0 .* lies outside the frame of 160 x 120 px",
    ),
    "output_of_run_a_file": ("run good.bundle face.png -o mean.npy", 2, "cannot write `mean.npy/"),
}
bad_inputs = pytest.mark.parametrize(
    ("arguments", "code", "message"), BAD_INPUTS.values(), ids=BAD_INPUTS
)


@bad_inputs
def test_bad_input_gives_its_exit_code_ends_in_one_error_line_and_leaves_the_folder_as_it_was(
    run_cli: RunCli, workspace: Path, arguments: str, code: int, message: str
) -> None:
    before = sorted(workspace.rglob("*"))

    found_code, stdout, stderr = run_cli(*arguments.split())

    *stages, error = stderr.splitlines()
    assert (found_code, stdout) == (code, "")
    assert re.match(f"error: .*{message}", error)
    assert all(line.startswith("[") for line in stages)
    assert sorted(workspace.rglob("*")) == before


@bad_inputs
@pytest.mark.usefixtures("workspace")
def test_bad_input_gives_one_json_object_when_asked(
    run_cli: RunCli, arguments: str, code: int, message: str
) -> None:
    command, *rest = arguments.split()

    found_code, stdout, _ = run_cli(command, "--json", *rest)

    error = json.loads(stdout)
    assert set(error) == {"code", "error"}
    assert found_code == error["code"] == code
    assert re.search(message, error["error"])


@pytest.mark.parametrize(
    "arguments", ["inspect {}", "verify {}", "run {} face.png"], ids=["inspect", "verify", "run"]
)
def test_corrupt_bundle_is_refused_with_exit_code_8(
    run_cli: RunCli, corrupt_bundle: Path, arguments: str
) -> None:
    code, stdout, stderr = run_cli(*arguments.format(corrupt_bundle.name).split())

    assert (code, stdout) == (8, "")
    assert re.match(r"error: .*`?model\.fp32\.onnx", stderr.splitlines()[-1])


def test_failed_stage_says_so_before_the_error(run_cli: RunCli, corrupt_bundle: Path) -> None:
    _, _, stderr = run_cli("verify", corrupt_bundle)

    stage, error = stderr.splitlines()
    assert re.fullmatch(r"\[1/2\] checksums +\d+\.\d s  FAILED", stage)
    assert error.startswith("error: ")


def test_error_shows_brackets_and_control_characters_of_a_path_as_text(run_cli: RunCli) -> None:
    _, _, stderr = run_cli("inspect", "[red]a[/red] :smile:\n\x1b[31m.onnx")

    assert "`[red]a[/red] :smile:\\n\\x1b[31m.onnx`" in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [(), ("run",)], ids=["no_command", "command_alone"])
def test_nothing_asked_prints_help_on_stderr_and_exits_2(
    run_cli: RunCli, arguments: tuple[str, ...]
) -> None:
    code, stdout, stderr = run_cli(*arguments)

    assert (code, stdout) == (2, "")
    assert stderr.startswith("Usage: facealign")


def test_export_entry_point_alone_prints_its_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["facealign-export"])

    with pytest.raises(SystemExit, match="2"):
        main_export()

    assert capsys.readouterr().err.startswith("Usage: facealign-export [OPTIONS]")


@pytest.mark.parametrize("arguments", ["--help", "run --help", "-h", "export -h"])
def test_help_is_a_result_on_stdout(run_cli: RunCli, arguments: str) -> None:
    code, stdout, stderr = run_cli(*arguments.split())

    assert (code, stderr) == (0, "")
    assert stdout.startswith("Usage: facealign")


def test_version_is_one_line(run_cli: RunCli) -> None:
    code, stdout, _ = run_cli("--version")

    assert code == 0
    assert re.fullmatch(r"facealign \d+\.\d+\.\d+\n", stdout)


@pytest.mark.usefixtures("workspace")
def test_defect_is_one_line_that_asks_for_a_report(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.cli.run.open_session", lambda *_, **__: 1 / 0)

    code, _, stderr = run_cli("run", "good.bundle", "face.png")

    assert code == 1
    assert re.fullmatch(r"error: internal error: ZeroDivisionError: .*report it.*\n", stderr)


@pytest.fixture
def lose_images(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `facealign run` fail as a data set without 25 images does."""

    def fail(*_: object, **__: object) -> None:
        raise DatasetError(
            "25 images are missing", items=[f"{workspace.name}/\x1b{index}" for index in range(25)]
        )

    monkeypatch.setattr("facealign.cli.run.open_session", fail)


@pytest.mark.usefixtures("lose_images")
def test_error_shows_the_first_items_under_its_line(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("run", "good.bundle", "face.png")

    lines = stderr.splitlines()
    assert (code, stdout) == (2, "")
    assert lines[0] == "error: 25 images are missing"
    assert lines[1:] == [
        *(f"  workspace/\\x1b{index}" for index in range(20)),
        "  ... and 5 more",
    ]


@pytest.mark.usefixtures("lose_images")
def test_error_has_all_items_in_json(run_cli: RunCli) -> None:
    _, stdout, _ = run_cli("run", "--json", "good.bundle", "face.png")

    error = json.loads(stdout)
    assert set(error) == {"code", "error", "items"}
    assert error["items"] == [f"workspace/\x1b{index}" for index in range(25)]
