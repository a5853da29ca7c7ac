from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.datasets import ImageFile
from facealign.errors import DatasetError, InputError, UsageError
from facealign.geometry import (
    boxes_from_landmarks,
    crops_from_frame,
    frame_from_crop,
    placement_from_boxes,
)
from facealign.pipeline.face_set import crop_px_from_frame, placement_at, read_face_set
from tests.unit.evaluation_data import BOXES


def test_crops_are_cut_by_the_boxes_and_the_rule_for_boxes(
    faces: Path, tiny_manifest: Manifest, frame: NDArray[np.uint8]
) -> None:
    face_set = read_face_set(faces, tiny_manifest, crops_from="box")

    crops = list(face_set.crops())

    crop = tiny_manifest.crop
    expected = crops_from_frame(frame, placement_from_boxes(BOXES, crop.from_box), crop)
    assert [len(each.crops) for each in crops] == [8, 4]
    np.testing.assert_array_equal(crops[0].crops[:6], expected)


def test_crops_are_cut_by_the_landmarks_where_there_are_any(
    faces: Path, tiny_manifest: Manifest
) -> None:
    face_set = read_face_set(faces, tiny_manifest)

    assert face_set.truth is not None
    boxes = boxes_from_landmarks(face_set.truth.landmarks)
    expected = placement_from_boxes(boxes, tiny_manifest.crop.from_landmarks)
    assert face_set.rule.source == "landmarks"
    np.testing.assert_array_equal(face_set.placement.centre, expected.centre)
    np.testing.assert_array_equal(face_set.placement.side, expected.side)


def test_folder_of_boxes_has_no_truth_and_is_cut_by_its_boxes(
    boxed: Path, tiny_manifest: Manifest
) -> None:
    face_set = read_face_set(boxed, tiny_manifest)

    assert (face_set.truth, face_set.split, face_set.rule.source) == (None, None, "box")
    assert (face_set.name, len(face_set.faces)) == ("boxed", 2)


def test_image_with_several_faces_in_a_row_is_read_once(
    faces: Path, tiny_manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = ImageFile.read

    def counting(image: ImageFile) -> NDArray[np.uint8]:
        read.append(image.name)
        return original(image)

    monkeypatch.setattr(ImageFile, "read", counting)
    face_set = read_face_set(faces, tiny_manifest)

    indices = np.concatenate([each.indices for each in face_set.crops()])

    assert read == ["a.png", "b.png"]
    assert sorted(indices.tolist()) == list(range(12))


def test_limit_takes_the_first_faces_and_the_subsets_that_they_are_in(
    faces: Path, tiny_manifest: Manifest
) -> None:
    face_set = read_face_set(faces, tiny_manifest, limit=4)

    assert face_set.truth is not None
    assert (len(face_set.faces), face_set.total_count) == (4, 12)
    assert face_set.truth.landmarks.shape == (4, 98, 2)
    assert face_set.truth.subsets == {"pose": (0, 1, 2, 3), "blur": (0,)}


def test_placement_at_is_one_square(faces: Path, tiny_manifest: Manifest) -> None:
    placement = read_face_set(faces, tiny_manifest).placement

    one = placement_at(placement, 3)

    assert len(one) == 1
    np.testing.assert_array_equal(one.centre[0], placement.centre[3])


def test_crop_px_from_frame_undoes_the_way_back_to_the_frame(
    faces: Path, tiny_manifest: Manifest
) -> None:
    placement = read_face_set(faces, tiny_manifest).placement
    norm = np.random.default_rng(0).uniform(-0.5, 1.5, (12, 98, 2))

    found = crop_px_from_frame(frame_from_crop(norm, placement), placement, 64)

    np.testing.assert_allclose(found, 64 * norm, rtol=0, atol=1e-9)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_below_one_is_refused(faces: Path, tiny_manifest: Manifest, limit: int) -> None:
    with pytest.raises(UsageError, match=f"limit must be 1 or more, got {limit}; leave it out"):
        read_face_set(faces, tiny_manifest, limit=limit)


def test_data_set_of_another_scheme_is_refused(faces: Path, tiny_manifest: Manifest) -> None:
    other = msgspec.structs.replace(tiny_manifest, scheme="300w68", landmark_count=68)

    with pytest.raises(
        UsageError,
        match=r"faces` has 98 landmarks a face \(wflw98\) and the bundle finds 68 \(300w68\); pass",
    ):
        read_face_set(faces, other)


def test_folder_of_boxes_cannot_be_cropped_by_landmarks(
    boxed: Path, tiny_manifest: Manifest
) -> None:
    with pytest.raises(DatasetError, match="2 of 2 faces have no landmarks to crop from"):
        read_face_set(boxed, tiny_manifest, crops_from="landmarks")


def test_data_set_without_boxes_cannot_be_cropped_by_them(
    tmp_path: Path, frame: NDArray[np.uint8], tiny_manifest: Manifest
) -> None:
    rows = "".join(f"{i + 10}.0 {2 * i + 5}.0\n" for i in range(68))
    for part in ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug"):
        image = tmp_path / "300w" / part / "face.png"
        image.parent.mkdir(parents=True)
        image.write_bytes(frame[:1].tobytes())  # only looked for
        text = f"version: 1\nn_points:  68\n{{\n{rows}}}\n"
        image.with_suffix(".pts").write_text(text)
    manifest = msgspec.structs.replace(tiny_manifest, scheme="300w68", landmark_count=68)

    with pytest.raises(DatasetError, match=r"3 of 3 faces have no box to crop from"):
        read_face_set(tmp_path / "300w", manifest, crops_from="box")


def test_face_outside_its_image_is_named(boxed: Path, tiny_manifest: Manifest) -> None:
    (boxed / "boxes.csv").write_text("image,x,y,w,h\na.png,5,4,65,62\na.png,400,16,65,62\n")
    face_set = read_face_set(boxed, tiny_manifest)

    with pytest.raises(
        DatasetError, match=r"a face of `a.png` lies outside its frame of 160 x 120 px"
    ):
        list(face_set.crops())


def test_image_that_is_none_is_named(boxed: Path, tiny_manifest: Manifest) -> None:
    (boxed / "a.png").write_text("hello")

    with pytest.raises(InputError, match=r"a\.png` is no image that OpenCV can read"):
        read_face_set(boxed, tiny_manifest).frame(0)


def test_missing_image_is_named(faces: Path, tiny_manifest: Manifest) -> None:
    (faces / "WFLW_images" / "b.png").unlink()

    with pytest.raises(DatasetError, match=r"1 of the 2 images .* are missing \(`b\.png`\)"):
        read_face_set(faces, tiny_manifest)
