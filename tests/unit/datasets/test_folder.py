"""A user's images with boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facealign.datasets.folder import read_boxed_folder
from facealign.errors import DatasetError
from tests.unit.datasets.official import WriteImage

HEADER = "image,x,y,w,h"


@pytest.fixture
def folder(tmp_path: Path, write_image: WriteImage) -> Path:
    write_image(tmp_path / "mine/a.png")
    write_image(tmp_path / "mine/more faces/b.png")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("boxes.csv", f"{HEADER}\na.png,1,2,3,4\nmore faces/b.png,0.5,-1,2,2\n\n"),
        ("boxes.csv", "id,h, w, y, x, image\n7,4,3,2,1,a.png\n8,2,2,-1,.5,more faces/b.png"),
        (
            "boxes.json",
            json.dumps(
                [
                    {"image": "a.png", "x": 1, "y": 2, "w": 3, "h": 4, "id": 7},
                    {"image": "more faces/b.png", "x": 0.5, "y": -1, "w": 2, "h": 2},
                ]
            ),
        ),
    ],
    ids=["csv", "csv in another order", "json"],
)
def test_boxes_become_corners_in_the_order_of_the_list(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)

    images = read_boxed_folder(folder)

    assert images.name == "mine"
    assert [face.box.tolist() for face in images.faces] == [[1, 2, 4, 6], [0.5, -1, 2.5, 1]]
    assert [face.image.name for face in images.faces] == ["a.png", "more faces/b.png"]
    assert images.faces[1].image.read().shape == (12, 20, 3)


def test_folder_that_is_the_working_folder_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "boxes.csv").write_text(f"{HEADER}\na.png,1,2,3,4\n")
    monkeypatch.chdir(folder)

    assert read_boxed_folder(Path()).name == "mine"


def test_folder_without_boxes_says_how_to_give_them(folder: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"has 1 images and no boxes; write `boxes.csv` .* `image,x,y,w,h`"
    ):
        read_boxed_folder(folder)


def test_folder_with_two_lists_is_refused(folder: Path) -> None:
    (folder / "boxes.csv").touch()
    (folder / "boxes.json").touch()

    with pytest.raises(DatasetError, match=r"has both `boxes\.csv` and `boxes\.json`; keep"):
        read_boxed_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", r"line 1: no column `image`, `x`.* \(found nothing\)", id="empty"),
        pytest.param("a.png,1,2,3,4\n", r"line 1: no column `image`", id="no header"),
        pytest.param("image,x,y,w\na.png,1,2,3", "no column `h`", id="no height"),
        pytest.param(f"{HEADER}\n", "boxes.csv` names no face; write", id="no face"),
        pytest.param(
            f"{HEADER}\n\na.png,1,2,x,4",
            "line 3: x, y, w, h are not all numbers; correct",
            id="word",
        ),
        pytest.param(
            f"{HEADER}\na.png,1,2,3", "line 2: x, y, w, h are not all numbers", id="short"
        ),
        pytest.param(f"{HEADER}\na.png,1,2,0,4", r"line 2: box \[1.0, .* has no area", id="flat"),
        pytest.param(f"{HEADER}\na.png,nan,2,3,4", "line 2: box .* has no area", id="nan"),
        pytest.param(
            f'{HEADER},note\na.png,1,2,3,4,"x\na.png,1,2,3,4,y\n',
            "is no CSV from line 2 on: unexpected end of data; check",
            id="open quote",
        ),
        pytest.param(
            f'{HEADER}\n"' + "a.png,1,2,3,4\n" * 20_000,
            "is no CSV from line 2 on: field larger than field limit",
            id="long field",
        ),
    ],
)
def test_broken_csv_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "boxes.csv").write_text(text)

    with pytest.raises(DatasetError, match=message):
        read_boxed_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{}", r"boxes.json` is no list of objects with image, x", id="object"),
        pytest.param('[{"image": "a.png", "x": 1}]', "missing required field `y`", id="short"),
        pytest.param(
            '[{"image": "a.png", "x": 1, "y": 2, "w": -3, "h": 4}]',
            r"boxes.json`, face 1: box .* has no area",
            id="negative",
        ),
        pytest.param("[]", "boxes.json` names no face", id="empty"),
        pytest.param('[{"id": ' + "[" * 100_000, "is no list of objects .* recursion", id="deep"),
    ],
)
def test_broken_json_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "boxes.json").write_text(text)

    with pytest.raises(DatasetError, match=message):
        read_boxed_folder(folder)


def test_folder_lists_every_missing_image(folder: Path) -> None:
    (folder / "boxes.csv").write_text(f"{HEADER}\nc.png,1,2,3,4\na.png,1,2,3,4\nd.png,1,2,3,4")

    with pytest.raises(
        DatasetError, match=r"2 of the 3 images of `boxes.csv` are missing \(`c.png`, `d.png`\)"
    ) as caught:
        read_boxed_folder(folder)

    assert caught.value.items == (str(folder / "c.png"), str(folder / "d.png"))
