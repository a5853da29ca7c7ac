"""WFLW in every layout that its downloads are unpacked to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets.wflw import read_wflw
from facealign.errors import DatasetError, InputError
from facealign.spec import WFLW98
from tests.unit.datasets.official import LISTS, MEETING, PARADE

TEST_LIST = f"{LISTS}/list_98pt_rect_attr_test.txt"


def test_wflw_gives_every_face_of_the_split_in_its_order(
    wflw: Path, landmarks: NDArray[np.float64]
) -> None:
    dataset = read_wflw(wflw)

    assert (dataset.name, dataset.split, dataset.scheme) == ("wflw", "test", WFLW98)
    assert [face.image.name for face in dataset.faces] == [PARADE, PARADE, MEETING]
    expected = np.array([landmarks, landmarks + 1, landmarks + 2])
    np.testing.assert_array_equal(dataset.landmarks, expected)


def test_wflw_coordinates_and_boxes_are_those_of_the_list(wflw: Path) -> None:
    first = read_wflw(wflw).faces[0]

    assert first.box is not None
    assert first.box.tolist() == [10, 20, 110, 140]
    assert first.occluded is None


def test_wflw_subsets_are_the_six_attributes(wflw: Path) -> None:
    subsets = read_wflw(wflw).subsets

    assert subsets == {
        "pose": (0,), "expression": (), "illumination": (), "makeup": (2,),
        "occlusion": (), "blur": (0,),
    }  # fmt: skip


def test_wflw_images_are_read_from_their_folder(wflw: Path, frame: NDArray[np.uint8]) -> None:
    pixels = read_wflw(wflw).faces[0].image.read()

    assert pixels.shape == frame.shape


def test_wflw_image_that_is_no_image_is_refused_when_read(wflw: Path) -> None:
    (wflw / "WFLW_images" / PARADE).write_bytes(b"no image")
    face = read_wflw(wflw).faces[0]

    with pytest.raises(InputError, match=r"116\.jpg` is no image that OpenCV can read"):
        face.image.read()


def test_wflw_train_is_another_list(wflw: Path) -> None:
    assert len(read_wflw(wflw, split="train").faces) == 2


@pytest.mark.parametrize("folder", ["WFLW_images", "WFLW_annotations"])
def test_wflw_may_lie_in_folders_of_their_own_name(wflw: Path, folder: str) -> None:
    (wflw / folder).rename(wflw / "moved")
    (wflw / folder).mkdir()
    (wflw / "moved").rename(wflw / folder / folder)

    assert len(read_wflw(wflw).faces) == 3


def test_wflw_may_lie_in_a_folder_wflw(wflw: Path) -> None:
    wflw.rename(wflw.parent / "WFLW")

    assert len(read_wflw(wflw.parent).faces) == 3


def test_wflw_that_is_whole_may_have_another_folder_wflw(wflw: Path) -> None:
    (wflw / "WFLW").mkdir()

    assert len(read_wflw(wflw).faces) == 3


def test_wflw_with_windows_line_ends_and_a_byte_order_mark_reads_the_same(wflw: Path) -> None:
    text = (wflw / TEST_LIST).read_text()
    (wflw / TEST_LIST).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert read_wflw(wflw).faces[2].image.name == MEETING


def test_wflw_without_its_list_says_what_is_missing_and_found(wflw: Path) -> None:
    (wflw / TEST_LIST).unlink()

    with pytest.raises(
        DatasetError,
        match=r"is not WFLW: it lacks `WFLW_annotations/list_98pt_rect_attr_train_test/"
        r"list_98pt_rect_attr_test\.txt` \(found `WFLW_images`, `WFLW_annotations`\); unpack the",
    ):
        read_wflw(wflw)


def test_wflw_of_a_strange_folder_says_that_nothing_was_found(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"lacks `WFLW_images`, .* \(found none of it\); unpack"):
        read_wflw(tmp_path)


@pytest.mark.parametrize(
    ("name", "found"), [("gone", "nothing"), ("file", "a file")], ids=["gone", "file"]
)
def test_wflw_of_no_folder_is_refused(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatasetError, match=rf"is no folder of a data set \(found {found}\)"):
        read_wflw(tmp_path / name)


def test_wflw_has_no_other_split(wflw: Path) -> None:
    with pytest.raises(DatasetError, match="WFLW has no split 'val'; choose one of train, test"):
        read_wflw(wflw, split="val")


def test_wflw_names_file_and_number_of_a_broken_line(wflw: Path, wflw_lines: list[str]) -> None:
    (wflw / TEST_LIST).write_text(f"{wflw_lines[0]}\n \n{wflw_lines[1].partition(' ')[2]}\n")

    with pytest.raises(DatasetError, match=r"_test\.txt`, line 3: 206 fields \(expected 207: 98"):
        read_wflw(wflw)


def test_wflw_of_an_empty_list_is_refused(wflw: Path) -> None:
    (wflw / TEST_LIST).write_text("\n")

    with pytest.raises(DatasetError, match=r"_test\.txt` holds no face; unpack it again"):
        read_wflw(wflw)


def test_wflw_of_a_list_that_is_no_text_is_refused(wflw: Path) -> None:
    (wflw / TEST_LIST).write_bytes(b"12\xff")

    with pytest.raises(DatasetError, match=r"_test\.txt` is no UTF-8 text \(byte 2\)"):
        read_wflw(wflw)


def test_wflw_lists_every_missing_image_once(wflw: Path) -> None:
    (wflw / "WFLW_images" / PARADE).unlink()

    with pytest.raises(
        DatasetError, match=r"^1 of the 2 images of `list_98pt_rect_attr_test\.txt` are missing"
    ) as caught:
        read_wflw(wflw)

    assert caught.value.items == (str(wflw / "WFLW_images" / PARADE),)
    assert caught.value.exit_code == 2
