from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration.image_digest import image_sha256
from facealign.datasets import ImageFile
from facealign.errors import CalibrationError, DatasetError
from facealign.pipeline.faces import FaceRequest, FaceSets, read_face_sets
from facealign.spec import COFW29, FACE68, WFLW98, CropSpec, Scheme, SquareRule
from tests.unit.face_folders import MARKED, write_300w, write_boxed, write_wflw
from tests.unit.pipeline.small_network import Told

SIZE_PX = 48
CROP = CropSpec(SIZE_PX, SquareRule(1.2, "exact"), SquareRule(1.3, "exact"))
SPOT_PX = 0.1  # measured 0.02 px: the spot's centre against its annotation, 11 faces


def read(
    folder: Path, told: Told | None = None, *, scheme: Scheme = WFLW98, **how: object
) -> FaceSets:
    request = FaceRequest(folder, **how)  # type: ignore[arg-type]  # of every field
    return read_face_sets(request, CROP, scheme, stage=told or Told())


@pytest.fixture(scope="module")
def wflw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wflw(tmp_path_factory.mktemp("faces") / "wflw")


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_boxed(tmp_path_factory.mktemp("faces") / "mine")


def spots(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the ``(K, 2)`` centres of what is bright, crop pixels."""
    light = crops[..., 0].astype(np.float64)
    rows, columns = np.mgrid[0:SIZE_PX, 0:SIZE_PX]
    total = light.sum(axis=(1, 2))
    x, y = (light * columns).sum(axis=(1, 2)) / total, (light * rows).sum(axis=(1, 2)) / total
    return np.stack([x, y], axis=1)


def test_faces_of_two_splits_are_two_sets(wflw: Path) -> None:
    found = read(wflw)

    assert found.calibration_crops.shape == (14, SIZE_PX, SIZE_PX, 3)
    assert found.held_out.crops.shape == (12, SIZE_PX, SIZE_PX, 3)
    assert {face.image[:5] for face in found.calibration.faces} == {"train"}
    assert (found.held_out.faces, found.held_out.crops_from) == ("wflw test", "box")
    assert found.held_out.truth_px is not None
    assert found.held_out.truth_px.shape == (12, 98, 2)


@pytest.mark.parametrize("crops_from", ["box", "landmarks"])
def test_truth_lies_where_the_landmark_is_in_the_crop(tmp_path: Path, crops_from: str) -> None:
    folder = write_wflw(tmp_path / "marked", is_marked=True)

    held_out = read(folder, crops_from=crops_from).held_out

    assert held_out.truth_px is not None
    off_px = np.linalg.norm(spots(held_out.crops) - held_out.truth_px[:, MARKED], axis=1)
    assert off_px.max() <= SPOT_PX


def test_crops_of_an_image_with_two_faces_stand_at_their_own_truth(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "marked", is_marked=True)
    path = next(folder.glob("WFLW_annotations/*/*_test.txt"))
    lines = path.read_text()
    path.write_text(lines + lines)

    held_out = read(folder).held_out

    assert held_out.truth_px is not None
    assert held_out.crops.shape[0] == 24
    off_px = np.linalg.norm(spots(held_out.crops) - held_out.truth_px[:, MARKED], axis=1)
    assert off_px.max() <= SPOT_PX


def test_subsets_are_the_attributes_that_are_there(wflw: Path) -> None:
    held_out = read(wflw).held_out

    assert {name: len(indices) for name, indices in held_out.subsets.items()} == {
        "pose": 6,
        "blur": 1,
    }
    assert set(held_out.subsets["blur"]) <= set(held_out.subsets["pose"])


def test_calibration_faces_are_stratified_over_the_attributes_of_their_own_split(
    tmp_path: Path,
) -> None:
    folder = write_300w(tmp_path / "300w")

    found = read(folder, scheme=FACE68, crops_from="landmarks")

    counts = {name: each.total for name, each in found.calibration.attributes.items()}
    assert counts == {"afw": 4, "helen": 4, "lfpw": 4}
    assert set(found.held_out.subsets) == {"helen", "common", "lfpw", "ibug", "challenge"}


def test_counts_are_upper_bounds(wflw: Path) -> None:
    found = read(wflw, calibration_count=5, held_out_count=11)

    assert (len(found.calibration_crops), len(found.held_out.crops)) == (5, 11)
    assert len(found.calibration.faces) == 5


def test_the_same_faces_are_read_twice(wflw: Path) -> None:
    first, second = (read(wflw, calibration_count=6, held_out_count=10) for _ in range(2))

    assert first.calibration == second.calibration
    np.testing.assert_array_equal(first.calibration_crops, second.calibration_crops)
    np.testing.assert_array_equal(first.held_out.crops, second.held_out.crops)


def test_another_seed_chooses_others(wflw: Path) -> None:
    one, other = (read(wflw, calibration_count=6, seed=seed) for seed in (0, 1))

    assert {face.image for face in one.calibration.faces} != {
        face.image for face in other.calibration.faces
    }


def test_faces_say_what_they_are_and_advance_to_their_total(wflw: Path) -> None:
    told = Told()

    read(wflw, told, crops_from="landmarks")

    (text,) = told.texts
    assert text.startswith("all 14 faces, fewer than the 256 asked for, in 14 images, cropped from")
    assert text.endswith("; 12 others to judge by (wflw test)")
    assert (told.done, told.totals) == (26, {26})


def test_faces_refuse_an_image_that_is_in_both_splits(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "wflw")
    images = folder / "WFLW_images"
    (images / "test3.png").write_bytes((images / "train5.png").read_bytes())

    with pytest.raises(CalibrationError, match=r"1 of the 12 images .*`test3.png = train5.png`"):
        read(folder)


def test_faces_of_boxes_are_split_without_an_image_in_both(boxed: Path) -> None:
    found = read(boxed)

    digests = {path.name: image_sha256(ImageFile(path.name, path)) for path in boxed.glob("*.png")}
    calibrated = {face.image_sha256 for face in found.calibration.faces}
    assert len(found.calibration_crops) + len(found.held_out.crops) == len(digests) == 40
    assert len(calibrated) == len(found.calibration_crops)
    assert calibrated < set(digests.values())
    assert (found.held_out.truth_px, found.held_out.subsets) == (None, {})
    assert found.held_out.faces == "folder mine, without annotations"


def test_faces_of_boxes_need_no_scheme(boxed: Path) -> None:
    found = read(boxed, scheme=COFW29)

    assert len(found.held_out.crops) >= 10


def test_copies_of_an_image_stay_on_one_side(tmp_path: Path) -> None:
    folder = write_boxed(tmp_path / "mine")
    for index in range(20, 40):
        (folder / f"{index}.png").write_bytes((folder / f"{index - 20}.png").read_bytes())

    found = read(folder)

    calibrated = {face.image for face in found.calibration.faces}
    originals = {int(name.removesuffix(".png")) % 20 for name in calibrated}
    assert len(calibrated) == 2 * len(originals)


def test_faces_of_another_scheme_are_refused(wflw: Path) -> None:
    with pytest.raises(DatasetError, match=r"have the landmarks of wflw98 and .* those of cofw29"):
        read(wflw, scheme=COFW29)


def test_too_few_faces_to_judge_by_are_refused(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "few", test=9)

    with pytest.raises(DatasetError, match="leaves 9 faces to judge by; give some hundred, at"):
        read(folder)


def test_boxes_have_no_landmarks_to_be_cut_out_by(boxed: Path) -> None:
    with pytest.raises(DatasetError, match=r"have no landmarks to crop from .*; crop from their"):
        read(boxed, crops_from="landmarks")


def test_a_data_set_without_a_part_to_calibrate_on_is_refused(tmp_path: Path) -> None:
    folder = write_wflw(tmp_path / "wflw")
    next(folder.glob("WFLW_annotations/*/list_98pt_rect_attr_train.txt")).unlink()

    with pytest.raises(DatasetError, match="is no data set with a split 'train'"):
        read(folder)
