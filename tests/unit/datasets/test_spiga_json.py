"""Annotations in the form of SPIGA's authors, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from facealign.datasets.spiga_json import read_spiga_json
from facealign.errors import DatasetError
from tests.unit.datasets.official import WriteImage

IDS = [7, 12, 3]


@pytest.fixture
def face() -> dict[str, Any]:
    return {
        "imgpath": "images/test/a.png",
        "bbox": [10.5, 20, 30, 40],
        "headpose": [1.5, -2, 3, 0.1, 0.2, 0.3],
        "ids": IDS,
        "landmarks": [[1.25, 2], [3, 4], [5, 6]],
        "visible": [1.0, 1.0, 1.0],
    }


@pytest.fixture
def path(tmp_path: Path, face: dict[str, Any]) -> Path:
    path = tmp_path / "annotations_test.json"
    path.write_text(json.dumps([face, {**face, "imgpath": "images/test/b.png"}]))
    return path


@pytest.fixture
def info(tmp_path: Path) -> Path:
    path = tmp_path / "db_info.json"
    path.write_text(json.dumps({"ldm_ids": IDS, "test_subsets": {"helen": [1], "ibug": []}}))
    return path


def test_spiga_json_gives_faces_with_corners_and_pose(path: Path) -> None:
    first, second = read_spiga_json(path).faces

    assert first.landmarks.tolist() == [[1.25, 2], [3, 4], [5, 6]]
    assert first.box is not None
    assert first.box.tolist() == [10.5, 20, 40.5, 60]
    assert first.pose is not None
    assert first.pose.tolist() == [1.5, -2, 3]
    assert second.image.name == "images/test/b.png"


def test_spiga_json_in_the_working_folder_has_its_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)

    dataset = read_spiga_json(Path(path.name))

    assert dataset.name == path.parent.name


def test_spiga_json_subsets_come_from_the_info_beside_it(path: Path, info: Path) -> None:
    dataset = read_spiga_json(path)

    assert info.is_file()
    assert dataset.subsets == {"helen": (1,), "ibug": ()}


def test_spiga_json_of_another_split_is_in_no_subset_of_the_test_faces(
    path: Path, info: Path
) -> None:
    dataset = read_spiga_json(path, split="train", info=info)

    assert dataset.subsets == {}
    assert [face.attributes for face in dataset.faces] == [frozenset(), frozenset()]


def test_spiga_json_may_have_no_pose(path: Path, face: dict[str, Any]) -> None:
    del face["headpose"]
    path.write_text(json.dumps([face]))

    assert read_spiga_json(path).faces[0].pose is None


def test_spiga_json_with_images_reads_them(path: Path, write_image: WriteImage) -> None:
    written = write_image(path.parent / "images/test/a.png")
    write_image(path.parent / "images/test/b.png")

    faces = read_spiga_json(path, images=path.parent).faces

    assert faces[0].image.read().tolist() == written.tolist()


def test_spiga_json_lists_every_missing_image(path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"2 of the 2 images of `annotations_test\.json` are missing"
    ) as caught:
        read_spiga_json(path, images=path.parent)

    assert len(caught.value.items) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"ids": [12, 7, 3]}, r"face 1: 3 landmarks in an order of its own", id="ids"),
        pytest.param({"landmarks": [[1, 2]]}, r"face 1: 1 landmarks in an order", id="short"),
        pytest.param({"visible": [1, 0, 1]}, "face 1: not all .* are `visible`", id="hidden"),
        pytest.param({"visible": []}, "not all landmarks are `visible`", id="no visible"),
        pytest.param({"bbox": [1, 2, 0, 4]}, "`bbox` .* has no area", id="flat box"),
        pytest.param({"bbox": [1, 2, 3]}, r"is no annotation file of SPIGA: .*bbox", id="box of 3"),
        pytest.param({"landmarks": [[1, 1]] * 3}, "all in one place", id="one place"),
        pytest.param({"imgpath": None}, r"no annotation file of SPIGA: .*imgpath", id="no image"),
    ],
)
def test_broken_spiga_json_is_refused(
    path: Path, face: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    path.write_text(json.dumps([face, {**face, **change}]))

    with pytest.raises(DatasetError, match=message):
        read_spiga_json(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no face"),
        ("[{", "is no annotation file of SPIGA: Input data was truncated"),
        ('[{"id": ' + "[" * 100_000, "is no annotation file of SPIGA: .* recursion"),
    ],
    ids=["empty", "cut", "deep"],
)
def test_spiga_json_of_no_face_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)

    with pytest.raises(DatasetError, match=message):
        read_spiga_json(path)


def test_spiga_json_without_the_info_that_was_named_is_refused(path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read `.*gone\.json`: No such file"):
        read_spiga_json(path, info=path.with_name("gone.json"))


@pytest.mark.parametrize("index", [-1, 2])
def test_spiga_json_with_the_info_of_another_release_is_refused(
    path: Path, info: Path, index: int
) -> None:
    info.write_text(json.dumps({"ldm_ids": IDS, "test_subsets": {"helen": [0, index]}}))

    with pytest.raises(DatasetError, match=rf"has a face {index} in its subsets \(expected 0 to 1"):
        read_spiga_json(path)
