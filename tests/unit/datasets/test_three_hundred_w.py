"""300W as its four downloads lie side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from facealign.datasets.three_hundred_w import read_300w
from facealign.errors import DatasetError
from facealign.spec import FACE68

HELEN = "helen/testset/296961468_1.jpg"
LFPW = "lfpw/testset/image_0001.png"
IBUG = "ibug/image_092 _01.jpg"


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("test", [HELEN, LFPW, IBUG]),
        ("full", [HELEN, LFPW, IBUG]),
        ("common", [HELEN, LFPW]),
        ("challenge", [IBUG]),
        (
            "train",
            [
                "afw/1051618982_1.jpg",
                "helen/trainset/10405146_1.jpg",
                "lfpw/trainset/image_0001.png",
            ],
        ),
    ],
    ids=["test", "full", "common", "challenge", "train"],
)
def test_300w_split_has_the_faces_of_its_folders(
    three_hundred_w: Path, split: str, names: list[str]
) -> None:
    dataset = read_300w(three_hundred_w, split=split)

    assert (dataset.name, dataset.split, dataset.scheme) == ("300w", split, FACE68)
    assert [face.image.name for face in dataset.faces] == names


def test_300w_landmarks_count_from_0_and_there_is_no_box(three_hundred_w: Path) -> None:
    face = read_300w(three_hundred_w, split="challenge").faces[0]

    assert face.landmarks[0].tolist() == [5, 0]  # x=6, y=1 in the file
    assert face.box is None


def test_300w_subsets_are_sources_common_and_challenge(three_hundred_w: Path) -> None:
    assert read_300w(three_hundred_w).subsets == {
        "helen": (0,), "common": (0, 1), "lfpw": (1,), "ibug": (2,), "challenge": (2,),
    }  # fmt: skip


def test_300w_common_needs_no_ibug(three_hundred_w: Path) -> None:
    shutil.rmtree(three_hundred_w / "ibug")

    assert len(read_300w(three_hundred_w, split="common").faces) == 2


def test_300w_may_lie_in_a_folder_of_its_name(three_hundred_w: Path) -> None:
    three_hundred_w.rename(three_hundred_w.parent / "300W")

    assert len(read_300w(three_hundred_w.parent).faces) == 3


def test_300w_finds_images_with_upper_case_endings(three_hundred_w: Path) -> None:
    path = three_hundred_w / IBUG
    path.rename(path.with_suffix(".JPG"))

    assert read_300w(three_hundred_w).faces[2].image.read().shape == (12, 20, 3)


def test_300w_passes_over_what_macos_hides(three_hundred_w: Path) -> None:
    (three_hundred_w / "ibug/._image_092 _01.pts").write_bytes(b"\x00\x05")

    assert len(read_300w(three_hundred_w, split="challenge").faces) == 1


def test_300w_says_which_folders_are_missing_and_found(three_hundred_w: Path) -> None:
    shutil.rmtree(three_hundred_w / "ibug")

    with pytest.raises(
        DatasetError,
        match=r"is not 300W: it lacks `ibug` \(found `helen/testset`, `lfpw/testset`\); unpack",
    ):
        read_300w(three_hundred_w)


def test_300w_folder_without_landmarks_is_refused(three_hundred_w: Path) -> None:
    (three_hundred_w / IBUG).with_suffix(".pts").unlink()

    with pytest.raises(DatasetError, match=r"ibug` holds no \.pts file; unpack"):
        read_300w(three_hundred_w)


def test_300w_lists_every_missing_image(three_hundred_w: Path) -> None:
    (three_hundred_w / HELEN).unlink()
    (three_hundred_w / LFPW).unlink()

    with pytest.raises(
        DatasetError, match=r"^2 of the 3 images of the \.pts files .*296961468_1\.jpg`, `lfpw"
    ) as caught:
        read_300w(three_hundred_w)

    assert len(caught.value.items) == 2


def test_300w_has_no_other_split(three_hundred_w: Path) -> None:
    with pytest.raises(DatasetError, match="300W has no split 'private'; choose one of train"):
        read_300w(three_hundred_w, split="private")
