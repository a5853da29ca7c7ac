from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

RunCli = Callable[..., tuple[int, str, str]]
LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_train.txt"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_synth_writes_a_data_set_and_prints_its_folder(run_cli: RunCli, folder: Path) -> None:
    code, stdout, stderr = run_cli("synth", "out", "--count", "5", "--seed", "3", "--size", "64")

    assert (code, stdout) == (0, "out\n")
    assert stderr.startswith("[1/1] draw")
    assert stderr.endswith("ok       4 faces to train on, 1 to test on\n")
    assert len((folder / "out" / LIST).read_text().splitlines()) == 4


@pytest.mark.usefixtures("folder")
def test_synth_with_json_tells_what_was_drawn(run_cli: RunCli) -> None:
    _, stdout, _ = run_cli("synth", "out", "--count=5", "--seed=3", "--size=64", "--json")

    result = json.loads(stdout)
    assert (result["code"], result["folder"], result["seed"], result["size"]) == (0, "out", 3, 64)
    assert (result["train"], result["test"]) == (4, 1)
    assert list(result["attributes"]) == [
        "pose",
        "expression",
        "illumination",
        "makeup",
        "occlusion",
        "blur",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("new --count 0", "count must be 1 or more, got 0; pass", id="count"),
        pytest.param("new --seed -1", "seed must be 0 or more, got -1; pass", id="seed"),
        pytest.param("new --size 10", "size must be 64 to 1024 px, got 10; pass", id="size"),
        pytest.param("full", "`full` is not empty, so it is left alone; choose", id="full"),
        pytest.param("full/file", "`full/file` is a file, or below one; choose", id="file"),
        pytest.param("new --count many", "see `facealign synth --help`", id="words"),
    ],
)
def test_synth_refuses_in_one_line(
    run_cli: RunCli, folder: Path, arguments: str, message: str
) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "file").touch()

    code, stdout, stderr = run_cli("synth", *arguments.split())

    assert (code, stdout) == (2, "")
    assert message in stderr.splitlines()[-1]
    assert [path.name for path in folder.iterdir()] == ["full"]


def test_synth_leaves_nothing_on_ctrl_c(
    run_cli: RunCli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_path: Path, _face: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("facealign.synth.dataset._write_image", interrupt)

    code, _, stderr = run_cli("synth", "out", "--count", "3", "--size", "64")

    assert code == 130
    assert stderr.endswith("error: interrupted; nothing is half-written\n")
    assert not list(folder.iterdir())
