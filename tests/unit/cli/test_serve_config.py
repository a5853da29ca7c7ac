"""``facealign serve-config``, and ``facealign export --serve``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

RunCli = Callable[..., tuple[int, str, str]]


def test_serve_config_prints_its_folder_and_how_to_start_the_server(
    run_cli: RunCli, workspace: Path
) -> None:
    code, stdout, stderr = run_cli("serve-config", "good.bundle", "triton")

    assert (code, stdout) == (0, "good.bundle.triton\n")
    assert stderr == "next: tritonserver --model-repository=good.bundle.triton/models\n"
    assert (workspace / "good.bundle.triton" / "models" / "good_fp32" / "config.pbtxt").is_file()


def test_serve_config_says_where_deepstreams_configuration_is(
    run_cli: RunCli, workspace: Path
) -> None:
    code, _, stderr = run_cli("serve-config", "good.bundle", "deepstream", "-o", "ds")

    assert code == 0
    assert "nvinferserver config-file-path=ds/config_good_fp32.txt" in stderr
    assert (workspace / "ds" / "config_good_fp32.txt").is_file()


def test_serve_config_gives_json(run_cli: RunCli, workspace: Path) -> None:
    code, stdout, stderr = run_cli("serve-config", workspace / "good.bundle", "triton", "--json")

    assert (code, stderr) == (0, "")
    assert json.loads(stdout) == {
        "code": 0,
        "server": "triton",
        "folder": str(workspace / "good.bundle.triton"),
        "models": ["good_fp32"],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["empty", "triton"], 2, "is not a bundle"),
        (["good.bundle", "torchserve"], 2, "is not one of"),
        (["good.bundle", "triton", "-o", "occupied"], 2, "so it is left alone"),
    ],
    ids=["no_bundle", "no_server", "occupied"],
)
def test_serve_config_refuses_in_one_line(
    run_cli: RunCli, workspace: Path, arguments: list[str], code: int, words: str
) -> None:
    before = sorted(workspace.rglob("*"))

    found, stdout, stderr = run_cli("serve-config", *arguments)

    assert (found, stdout) == (code, "")
    assert words in stderr
    assert len(stderr.splitlines()) == 1
    assert sorted(workspace.rglob("*")) == before


def test_serve_config_refuses_a_corrupt_bundle(run_cli: RunCli, corrupt_bundle: Path) -> None:
    code, _, stderr = run_cli("serve-config", corrupt_bundle, "triton")

    assert code == 8
    assert "is not what the bundle was made with" in stderr


@pytest.mark.slow
def test_export_serve_writes_both_folders(
    run_cli: RunCli, tiny_sdfl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code, stdout, _ = run_cli(
        "export", tiny_sdfl / "tiny.pt", f"--asset=graph={tiny_sdfl}/graph.npy", "--serve=triton"
    )

    assert code == 0
    assert stdout.splitlines() == [f"{tmp_path}/tiny.bundle", f"{tmp_path}/tiny.bundle.triton"]
    assert (tmp_path / "tiny.bundle.triton" / "models" / "tiny_fp32" / "1" / "model.onnx").is_file()


def test_export_serve_refuses_an_occupied_folder_before_it_compiles(
    run_cli: RunCli, workspace: Path
) -> None:
    (workspace / "occupied").rename(workspace / "tiny.bundle.triton")

    code, _, stderr = run_cli("export", "tiny.pt", "--serve=triton")

    assert code == 2
    assert "so it is left alone" in stderr
    assert "[1/" not in stderr
