"""Which data set a folder is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from facealign.datasets.face import BoxedImages, Dataset
from facealign.datasets.read import read_dataset
from facealign.errors import DatasetError, MissingLibraryError
from tests.unit.datasets.official import LISTS, WriteImage


@pytest.fixture
def boxed(tmp_path: Path, write_image: WriteImage) -> Path:
    write_image(tmp_path / "boxed/a.png")
    (tmp_path / "boxed/boxes.csv").write_text("image,x,y,w,h\na.png,1,2,3,4\n")
    return tmp_path / "boxed"


def test_read_dataset_recognises_wflw(wflw: Path) -> None:
    dataset = read_dataset(wflw)

    assert isinstance(dataset, Dataset)
    assert (dataset.name, dataset.split) == ("wflw", "test")


@pytest.mark.parametrize("split", ["train", "challenge"])
def test_read_dataset_recognises_300w_and_its_own_splits(three_hundred_w: Path, split: str) -> None:
    dataset = read_dataset(three_hundred_w, split=split)

    assert isinstance(dataset, Dataset)
    assert (dataset.name, dataset.split) == ("300w", split)


def test_read_dataset_recognises_annotations_of_spiga(
    tmp_path: Path, write_image: WriteImage
) -> None:
    write_image(tmp_path / "a.png")
    face = {"imgpath": "a.png", "bbox": [1, 2, 3, 4], "ids": [5, 6], "visible": [1, 1]}
    face["landmarks"] = [[1, 2], [3, 4]]
    (tmp_path / "annotations_test.json").write_text(json.dumps([face]))
    (tmp_path / "db_info.json").write_text(json.dumps({"ldm_ids": [5, 6]}))

    dataset = read_dataset(tmp_path)

    assert isinstance(dataset, Dataset)
    assert dataset.scheme.landmark_count == 2


def test_read_dataset_recognises_cofw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "COFW_test_color.mat").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(MissingLibraryError, match=r"COFW_test_color\.mat` needs `h5py`"):
        read_dataset(tmp_path)


def test_read_dataset_recognises_a_folder_of_boxes(boxed: Path) -> None:
    images = read_dataset(boxed)

    assert isinstance(images, BoxedImages)
    assert len(images.faces) == 1


def test_read_dataset_of_boxes_has_no_split(boxed: Path) -> None:
    with pytest.raises(DatasetError, match="is a list of boxes, which has no split 'test'; leave"):
        read_dataset(boxed, split="test")


def test_read_dataset_names_the_near_misses_nearest_first(
    wflw: Path, write_image: WriteImage
) -> None:
    (wflw / LISTS / "list_98pt_rect_attr_test.txt").unlink()
    write_image(wflw / "a.png")

    with pytest.raises(
        DatasetError,
        match=r"is no data set with a split 'test' that is known: WFLW lacks `WFLW_annotations/.*"
        r"_test\.txt` \(found `WFLW_images`, `WFLW_annotations`\); a folder of boxes lacks "
        r"`boxes.csv` \(found `images: 1`\); 300W lacks `helen/testset`, `lfpw/testset`, `ibug`; "
        r"COFW lacks `COFW_test_color.mat`; annotations of SPIGA lacks .*; check the path",
    ):
        read_dataset(wflw)


def test_read_dataset_of_two_at_once_is_refused(wflw: Path, boxed: Path) -> None:
    (boxed / "boxes.csv").rename(wflw / "boxes.csv")

    with pytest.raises(DatasetError, match="is WFLW and a folder of boxes at once; pass a folder"):
        read_dataset(wflw)


def test_read_dataset_of_an_unknown_split_names_all(wflw: Path) -> None:
    with pytest.raises(
        DatasetError,
        match="no data set has a split 'val'; choose one of train, test, full, common, challenge",
    ):
        read_dataset(wflw, split="val")


def test_read_dataset_of_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone` is no folder of a data set \(found nothing\)"):
        read_dataset(tmp_path / "gone")
