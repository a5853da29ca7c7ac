from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import demo_provenance
import pytest
import torch
import train_demo

HELD_OUT_FACES, CHECKED_FACES = 2, 1
START_BIAS = 0.5  # of the last layer, as `new_network` sets it
TINY = ["--faces", "10", "--batch", "2", "--steps", "1", "1", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with what two runs of one command wrote, ``first`` and ``second``."""
    folder = tmp_path_factory.mktemp("demo")
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_provenance, "HELD_OUT_FACES", HELD_OUT_FACES)
        patch.setattr(demo_provenance, "CHECKED_FACES", CHECKED_FACES)
        patch.setenv("PATH", "")  # no git
        for name in ("first", "second"):
            train_demo.main(["--work", str(folder), "--out", str(folder / name), *TINY])
    yield folder
    torch.set_num_threads(threads)


def weights(path: Path) -> dict[str, torch.Tensor]:
    state_dict: dict[str, torch.Tensor] = torch.load(path)
    return state_dict


@pytest.mark.slow
def test_train_demo_tells_what_it_did(trained: Path) -> None:
    facts: dict[str, Any] = json.loads((trained / "first" / "demo.json").read_text("utf-8"))

    assert (facts["steps"], facts["face_count"], facts["seed"]) == ([1, 1, 2], 8, 1)
    assert facts["held_out"]["faces"] == HELD_OUT_FACES
    assert facts["held_out"]["first"]["faces"] == CHECKED_FACES
    assert facts["validation_nme_percent"] > 0
    assert "--steps 1 1 2" in facts["command"]
    assert facts["commit"] == "unknown"


@pytest.mark.slow
def test_train_demo_moves_the_weights_from_where_they_start(trained: Path) -> None:
    bias = weights(trained / "first" / "demo.pt")["out_layer.bias"]

    assert torch.all(bias != START_BIAS)


@pytest.mark.slow
def test_train_demo_writes_the_best_weights_and_the_same_again(trained: Path) -> None:
    first, second = (weights(trained / name / "demo.pt") for name in ("first", "second"))

    best = weights(trained / "best.pt")
    assert first.keys() == second.keys() == best.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(first[key], best[key]) for key in first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("--seed 2", "faces of seed 2 are those that the result", id="held-out"),
        pytest.param("--seed -1", "seed must be 0 or more, got -1; pass", id="seed"),
        pytest.param("--steps 1 1 0", r"only weights of 256 px are kept, got [1, 1, 0]", id="last"),
        pytest.param("--steps -1 1 1", "--steps must be 0 or more", id="steps"),
        pytest.param("--minutes 1 0 1", "--minutes must be above 0 where", id="minutes"),
        pytest.param("--faces 0", "argument --faces: must be 1 or more, got 0", id="faces"),
        pytest.param("--batch 0", "argument --batch: must be 1 or more, got 0", id="batch"),
    ],
)
def test_train_demo_refuses_before_it_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train_demo.main(["--work", str(tmp_path), *arguments.split()])

    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param("--batch 9", "--batch must be 8 or less, got 9; see --faces", id="batch"),
        pytest.param("--start none.pt", "none.pt", id="no-file"),
    ],
)
def test_train_demo_refuses_what_does_not_fit_the_faces(
    trained: Path, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        train_demo.main(["--work", str(trained), *arguments.split()])

    assert message in capsys.readouterr().err.splitlines()[-1]
