"""COFW in small files of the official form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets.cofw import StoredImage, read_cofw
from facealign.errors import DatasetError, InputError, MissingLibraryError
from facealign.spec import COFW29

TEST_FILE = "COFW_test_color.mat"


@pytest.fixture
def phis() -> NDArray[np.float64]:
    """Return ``(87, 2)``: every x, every y, every flag of two faces, from 1 as in MATLAB."""
    index = np.arange(29, dtype=np.float64)
    column = np.concatenate([index + 1, 2 * index + 1, index % 2])
    shift = np.repeat(np.array([10.0, 20.0, 0.0]), 29)
    columns: NDArray[np.float64] = np.stack([column, column + shift], axis=1)
    return columns


@pytest.fixture
def bboxes() -> NDArray[np.float64]:
    """Return ``(4, 2)``: left, top, width, height of two faces."""
    boxes: NDArray[np.float64] = np.array([[5, 1], [6, 2], [30, 3], [40, 4]], np.float64)
    return boxes


@pytest.fixture
def colours() -> NDArray[np.uint8]:
    """Return an RGB image, ``(5, 7, 3)``, as MATLAB shows it."""
    return np.arange(105, dtype=np.uint8).reshape(5, 7, 3)


@pytest.fixture
def cofw(
    tmp_path: Path,
    phis: NDArray[np.float64],
    bboxes: NDArray[np.float64],
    colours: NDArray[np.uint8],
) -> Path:
    """Return a folder with both files; the first image is RGB, the second grey."""
    for split, ending in {"train": "Tr", "test": "T"}.items():
        write_mat(
            tmp_path / f"COFW_{split}_color.mat",
            {f"phis{ending}": phis, f"bboxes{ending}": bboxes},
            images=(f"Is{ending}", [colours, colours[..., 0]]),
        )
    return tmp_path


def write_mat(
    path: Path, variables: dict[str, Any], *, images: tuple[str, list[NDArray[Any]]]
) -> None:
    """Write a file as MATLAB 7.3 does: HDF5, columns first, cells as references behind a header."""
    h5py = pytest.importorskip("h5py")
    name, arrays = images
    with h5py.File(path, "w", userblock_size=512) as file:
        cells = file.create_dataset(name, (1, len(arrays)), dtype=h5py.ref_dtype)
        for index, array in enumerate(arrays):
            cells[0, index] = file.create_dataset(f"#refs#/{index}", data=array.T).ref
        for variable, value in variables.items():
            file[variable] = value
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))


@pytest.mark.parametrize("split", ["train", "test"])
def test_cofw_gives_landmarks_boxes_and_flags_from_0(cofw: Path, split: str) -> None:
    dataset = read_cofw(cofw, split=split)

    first, second = dataset.faces
    assert (dataset.name, dataset.split, dataset.scheme) == ("cofw", split, COFW29)
    assert first.landmarks.tolist() == [[i, 2 * i] for i in range(29)]
    assert second.landmarks[0].tolist() == [10, 20]
    assert first.box is not None
    assert first.box.tolist() == [4, 5, 34, 45]
    assert first.occluded is not None
    assert first.occluded.tolist() == [bool(i % 2) for i in range(29)]


def test_cofw_images_come_out_of_the_file_as_bgr(cofw: Path, colours: NDArray[np.uint8]) -> None:
    image = read_cofw(cofw).faces[0].image

    assert image.name == f"{TEST_FILE}#1"
    np.testing.assert_array_equal(image.read(), colours[..., ::-1])


def test_cofw_grey_images_have_three_equal_channels(cofw: Path, colours: NDArray[np.uint8]) -> None:
    pixels = read_cofw(cofw).faces[1].image.read()

    np.testing.assert_array_equal(pixels, np.repeat(colours[..., :1], 3, axis=2))


@pytest.mark.parametrize("inside", [TEST_FILE, "."], ids=["the file", "a folder COFW_color"])
def test_cofw_may_be_given_as_file_or_lie_in_its_folder(cofw: Path, inside: str) -> None:
    outer = cofw / "COFW_color"
    outer.mkdir()
    (cofw / TEST_FILE).rename(outer / TEST_FILE)
    paths = {TEST_FILE: outer / TEST_FILE, ".": cofw}

    assert len(read_cofw(paths[inside]).faces) == 2


def test_cofw_without_h5py_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / TEST_FILE).touch()
    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(
        MissingLibraryError,
        match=r'needs `h5py`, which is not installed; .*pip install "facealign\[datasets\]"',
    ) as caught:
        read_cofw(tmp_path)

    assert caught.value.exit_code == 7


def test_cofw_says_which_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"is not COFW: it lacks `COFW_train_color\.mat` \(found none of it\)"
    ):
        read_cofw(tmp_path, split="train")


def test_cofw_has_no_other_split(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="COFW has no split 'all'; choose one of train, test"):
        read_cofw(tmp_path, split="all")


def test_cofw_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / TEST_FILE).write_bytes(b"MATLAB 5.0 MAT-file")

    with pytest.raises(DatasetError, match=r"is no MATLAB 7\.3 \(HDF5\) file: .*; unpack"):
        read_cofw(tmp_path)


def test_cofw_file_of_the_other_split_is_refused(cofw: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"lacks `IsTr`, `bboxesTr`, `phisTr` \(found .*is it the file of the"
    ):
        read_cofw(cofw / TEST_FILE, split="train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bboxesT": np.zeros((4, 2))}, "face 1: its box has no area"),
        ({"bboxesT": np.zeros((2, 4))}, r"`bboxesT` of .* is \(2, 4\) float64 \(expected numbers"),
        ({"phisT": np.zeros((58, 2))}, r"`phisT` of .* is \(58, 2\) float64 .*\(87, 2\)"),
        ({"phisT": np.full((87, 2), np.nan)}, "face 1: its landmarks are not finite"),
        ({"phisT": np.array([np.arange(87)] * 2).T}, "face 1: its occlusion flags are not all 0"),
    ],
    ids=["flat box", "boxes as rows", "no flags", "nan", "other flags"],
)
def test_cofw_of_broken_numbers_is_refused(
    tmp_path: Path,
    phis: NDArray[np.float64],
    bboxes: NDArray[np.float64],
    change: dict[str, NDArray[np.float64]],
    message: str,
) -> None:
    variables = {"phisT": phis, "bboxesT": bboxes, **change}
    images = [np.zeros((5, 7), np.uint8)] * 2
    write_mat(tmp_path / TEST_FILE, variables, images=("IsT", images))

    with pytest.raises(DatasetError, match=message):
        read_cofw(tmp_path)


def test_cofw_of_no_face_is_refused(tmp_path: Path) -> None:
    variables = {"phisT": np.zeros((87, 0)), "bboxesT": np.zeros((4, 0))}
    write_mat(tmp_path / TEST_FILE, variables, images=("IsT", []))

    with pytest.raises(DatasetError, match="holds no face; get it again"):
        read_cofw(tmp_path)


def test_cofw_of_a_changed_byte_is_refused(cofw: Path, phis: NDArray[np.float64]) -> None:
    h5py = pytest.importorskip("h5py")
    path = cofw / TEST_FILE
    with h5py.File(path, "r+") as file:
        del file["phisT"]
        packed = file.create_dataset("phisT", data=phis, chunks=phis.shape, compression="gzip")
        start = packed.id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[start] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(DatasetError, match=r"COFW_test_color\.mat` is broken: .*; unpack the"):
        read_cofw(cofw)


def test_cofw_image_without_a_pixel_is_refused_when_read(
    tmp_path: Path, phis: NDArray[np.float64], bboxes: NDArray[np.float64]
) -> None:
    images: list[NDArray[Any]] = [np.zeros((5, 0, 3), np.uint8)] * 2
    write_mat(tmp_path / TEST_FILE, {"phisT": phis, "bboxesT": bboxes}, images=("IsT", images))
    faces = read_cofw(tmp_path).faces

    with pytest.raises(InputError, match=r"#1` is \(5, 0, 3\) uint8 \(expected a grey or RGB"):
        faces[0].image.read()


def test_cofw_image_of_another_type_is_refused_when_read(
    tmp_path: Path, phis: NDArray[np.float64], bboxes: NDArray[np.float64]
) -> None:
    images: list[NDArray[Any]] = [np.zeros((5, 7)), np.zeros((5, 7, 2), np.uint8)]
    write_mat(tmp_path / TEST_FILE, {"phisT": phis, "bboxesT": bboxes}, images=("IsT", images))
    faces = read_cofw(tmp_path).faces

    with pytest.raises(InputError, match=r"#1` is \(5, 7\) float64 \(expected a grey or RGB"):
        faces[0].image.read()
    with pytest.raises(InputError, match=r"#2` is \(5, 7, 2\) uint8 \(expected a grey or RGB"):
        faces[1].image.read()


def test_cofw_image_of_a_file_that_is_gone_is_refused_when_read(cofw: Path) -> None:
    image = StoredImage("gone.mat#1", cofw / "gone.mat", "IsT", 0)

    with pytest.raises(InputError, match=r"cannot read image `gone\.mat#1`: .*; check the file"):
        image.read()


def test_cofw_image_beyond_the_last_is_refused_when_read(cofw: Path) -> None:
    image = StoredImage("#3", cofw / TEST_FILE, "IsT", 2)

    with pytest.raises(InputError, match="cannot read image `#3`: index 2 is out of bounds"):
        image.read()
