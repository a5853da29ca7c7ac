from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.runtime import open_session

RunCli = Callable[..., tuple[int, str, str]]
BOX = "30,20,60,70"
ROUNDING_PX = 0.0006  # three decimals are written


def write_image(path: Path, frame: NDArray[np.uint8]) -> None:
    path.write_bytes(cv2.imencode(path.suffix, frame)[1].tobytes())


def test_run_writes_the_landmarks_of_a_session(
    run_cli: RunCli, workspace: Path, frame: NDArray[np.uint8]
) -> None:
    with open_session(workspace / "good.bundle") as session:
        expected = session.run(frame, [[30, 20, 90, 90]])

    code, stdout, stderr = run_cli("run", "good.bundle", "face.png", "--box", BOX)

    result = json.loads((workspace / "face.landmarks.json").read_text())
    assert (code, stdout, stderr) == (0, "face.landmarks.json\n", "")
    assert (result["image"], result["scheme"]) == ("face.png", "wflw98")
    assert result["faces"][0]["box_xywh"] == [30, 20, 60, 70]
    np.testing.assert_allclose(
        result["faces"][0]["landmarks"], expected.xy[0], atol=ROUNDING_PX, rtol=0
    )


def test_run_writes_an_overlay_of_the_frame_size(run_cli: RunCli, workspace: Path) -> None:
    run_cli("run", "good.bundle", "face.png", "--box", BOX, "-o", "out")

    overlay = cv2.imread(str(workspace / "out" / "face.landmarks.png"))
    frame = cv2.imread(str(workspace / "face.png"))
    assert overlay is not None
    assert frame is not None
    assert overlay.shape == frame.shape
    assert not np.array_equal(overlay, frame)


def test_run_takes_several_boxes_in_order(run_cli: RunCli, workspace: Path) -> None:
    run_cli("run", "good.bundle", "face.png", "--box", BOX, "--box=-5,-5,40.5,40")

    faces = json.loads((workspace / "face.landmarks.json").read_text())["faces"]
    assert [face["box_xywh"] for face in faces] == [[30, 20, 60, 70], [-5, -5, 40.5, 40]]


@pytest.mark.usefixtures("workspace")
def test_run_without_a_box_takes_the_whole_image_and_says_so(run_cli: RunCli) -> None:
    code, stdout, stderr = run_cli("run", "good.bundle", "face.png", "--json")

    assert code == 0
    assert json.loads(stdout)["images"][0]["faces"][0]["box_xywh"] == [0, 0, 160, 120]
    assert stderr == "note: no `--box`, so the whole image was taken as the face box\n"


def test_run_finishes_the_good_images_of_a_folder_and_names_all_bad_ones(
    run_cli: RunCli, workspace: Path
) -> None:
    code, stdout, stderr = run_cli("run", "good.bundle", "mixed", "--box", BOX, "-o", "out")

    assert code == 2
    assert stdout == "out/a.landmarks.json\n"
    assert re.fullmatch(
        r"error: 2 of 3 images could not be used: "
        r"\(1\) `mixed/b\.png` .*; \(2\) `mixed/c\.png` .*\n",
        stderr,
    )
    assert sorted(path.name for path in (workspace / "out").iterdir()) == [
        "a.landmarks.json",
        "a.landmarks.png",
    ]


@pytest.mark.usefixtures("workspace")
def test_run_with_json_tells_good_and_bad_images_of_a_folder(run_cli: RunCli) -> None:
    code, stdout, _ = run_cli("run", "good.bundle", "mixed", "--box", BOX, "--json")

    result = json.loads(stdout)
    assert code == result["code"] == 2
    assert [image["image"] for image in result["images"]] == ["mixed/a.png"]
    assert [image["image"] for image in result["failed"]] == ["mixed/b.png", "mixed/c.png"]


def test_run_skips_its_own_overlays_in_a_folder(run_cli: RunCli, workspace: Path) -> None:
    (workspace / "empty" / "a.PNG").write_bytes((workspace / "face.png").read_bytes())
    arguments = ("run", "good.bundle", "empty", "--box", BOX, "-o", "empty")
    first = run_cli(*arguments)

    second = run_cli(*arguments)

    assert first == second == (0, "empty/a.landmarks.json\n", "")


def test_run_keeps_results_apart_when_stems_coincide(run_cli: RunCli, workspace: Path) -> None:
    data = (workspace / "face.png").read_bytes()
    for name in ("a.png", "A.jpg", "b.png"):
        (workspace / "empty" / name).write_bytes(data)

    _, stdout, _ = run_cli("run", "good.bundle", "empty", "--box", BOX)

    assert stdout.splitlines() == [
        "A.jpg.landmarks.json",
        "a.png.landmarks.json",
        "b.landmarks.json",
    ]


@pytest.mark.parametrize("name", ["with space.png", "ünï[red] :smile:.png", "-dash.png"])
def test_run_takes_any_file_name(run_cli: RunCli, workspace: Path, name: str) -> None:
    (workspace / "face.png").rename(workspace / name)

    code, stdout, _ = run_cli("run", "--box", BOX, "--", "good.bundle", name)

    assert (code, stdout) == (0, name.replace(".png", ".landmarks.json\n"))
    assert (workspace / stdout.strip()).is_file()


@pytest.mark.parametrize(
    "channels_of", [lambda grey: grey, lambda grey: np.dstack([grey] * 4)], ids=["grey", "alpha"]
)
def test_run_takes_grey_and_alpha_images(
    run_cli: RunCli,
    workspace: Path,
    frame: NDArray[np.uint8],
    channels_of: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> None:
    grey = frame[:, :, 1]
    write_image(workspace / "other.png", channels_of(grey))
    write_image(workspace / "three.png", np.dstack([grey] * 3))

    _, other, _ = run_cli("run", "good.bundle", "other.png", "--box", BOX, "--json")
    _, three, _ = run_cli("run", "good.bundle", "three.png", "--box", BOX, "--json")

    assert json.loads(other)["images"][0]["faces"] == json.loads(three)["images"][0]["faces"]


def test_run_names_a_missing_link_of_a_folder(run_cli: RunCli, workspace: Path) -> None:
    (workspace / "empty" / "link.png").symlink_to("nowhere")

    code, _, stderr = run_cli("run", "good.bundle", "empty")

    assert code == 2
    assert "1 of 1 images could not be used: (1) cannot read image `empty/link.png`" in stderr


def test_run_replaces_older_results(run_cli: RunCli, workspace: Path) -> None:
    (workspace / "face.landmarks.json").write_text("old")

    run_cli("run", "good.bundle", "face.png", "--box", BOX)

    assert json.loads((workspace / "face.landmarks.json").read_text())["faces"]
    assert not list(workspace.glob(".*"))


@pytest.mark.usefixtures("workspace")
def test_run_takes_the_graph_of_a_precision(run_cli: RunCli) -> None:
    code, _, stderr = run_cli("run", "good.bundle", "face.png", "--precision", "int8")

    assert code == 2
    assert "the bundle has no 'int8' graph; choose from fp32" in stderr
