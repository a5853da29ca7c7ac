from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets import (
    AnnotatedFace,
    BoxedImage,
    CropSource,
    Face,
    ImageFile,
    boxes_of_faces,
    face_crops,
)
from facealign.errors import DatasetError, InputError
from facealign.geometry import crops_from_frame, frame_from_crop, placement_from_boxes
from tests.unit.calibration.faces import LANDMARKS, SPEC, boxed_face, face, image_file, rule


@dataclass(frozen=True)
class CountedImage:
    """An image that remembers how often it was read."""

    name: str
    reads: list[str] = field(compare=False)

    def read(self) -> NDArray[np.uint8]:
        self.reads.append(self.name)
        return np.zeros((30, 40, 3), np.uint8)


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    return image_file(tmp_path, "a.png", grey=50)


@pytest.mark.parametrize(
    ("source", "side"), [("box", 16.0), ("landmarks", 18.0)], ids=["box", "landmarks"]
)
def test_face_crops_follow_the_rule_of_their_source(
    image: ImageFile, source: CropSource, side: float
) -> None:
    (batch,) = face_crops([face(image), face(image, shift=3)], rule(source))

    assert batch.placement.side.tolist() == [side, side]
    assert batch.placement.centre.tolist() == [[16, 14], [19, 17]]
    expected = crops_from_frame(image.read(), batch.placement, SPEC)
    np.testing.assert_array_equal(batch.crops, expected)


def test_face_crops_place_true_landmarks_where_predictions_come_back(image: ImageFile) -> None:
    (batch,) = face_crops([face(image), face(image, shift=2)], rule("landmarks"))

    assert batch.landmarks is not None
    centre, side = batch.placement.centre[:, None], batch.placement.side[:, None, None]
    norm = (batch.landmarks - centre) / side + 0.5
    np.testing.assert_allclose(frame_from_crop(norm, batch.placement), batch.landmarks)
    assert batch.landmarks.tolist() == [LANDMARKS.tolist(), (LANDMARKS + 2).tolist()]


def test_face_crops_of_boxed_images_have_no_landmarks(image: ImageFile) -> None:
    (batch,) = face_crops([boxed_face(image)], rule("box"))

    assert batch.landmarks is None
    assert batch.crops.shape == (1, 8, 8, 3)
    assert batch.crops.dtype == np.uint8


def test_face_crops_read_each_image_once_and_say_whose_crops_they_are() -> None:
    reads: list[str] = []
    images = [CountedImage(name, reads) for name in "abacb"]
    faces = [BoxedImage(image, np.array([1.0, 2.0, 9.0, 9.0])) for image in images]

    batches = list(face_crops(faces, rule("box"), batch_size=2))

    assert reads == ["a", "b", "c"]
    assert [batch.indices.tolist() for batch in batches] == [[0, 2], [1, 4], [3]]


def test_face_crops_read_no_image_before_its_batch_is_asked_for() -> None:
    reads: list[str] = []
    images = [CountedImage(name, reads) for name in "abc"]
    faces = [BoxedImage(image, np.array([1.0, 2.0, 9.0, 9.0])) for image in images]

    batches = face_crops(faces, rule("box"), batch_size=1)
    next(batches)

    assert reads == ["a"]


def test_face_crops_of_no_faces_are_none() -> None:
    assert not list(face_crops([], rule("box")))


def test_face_crops_refuse_faces_without_a_box_before_reading(tmp_path: Path) -> None:
    images = [ImageFile(f"{index}.png", tmp_path / f"{index}.png") for index in range(5)]
    faces = [face(image, has_box=index == 2) for index, image in enumerate(images)]

    with pytest.raises(
        DatasetError,
        match=r"^4 of 5 faces have no box to crop from \(`0.png`, `1.png`, `3.png` and 1 more\); "
        "crop from their landmarks, or leave them out$",
    ) as caught:
        face_crops(faces, rule("box"))

    assert caught.value.items == ("0.png", "1.png", "3.png", "4.png")


def test_face_crops_refuse_landmarks_of_boxed_images(image: ImageFile) -> None:
    with pytest.raises(DatasetError, match=r"1 of 1 faces have no landmarks .*`a.png`.* their box"):
        face_crops([boxed_face(image)], rule("landmarks"))


def test_face_crops_name_the_image_of_a_face_without_extent(image: ImageFile) -> None:
    flat = AnnotatedFace(image, np.ones((3, 2)))

    with pytest.raises(DatasetError, match=r"1 of 2 faces are too small to crop \(`a.png`\)"):
        face_crops([face(image), flat], rule("landmarks"))


@pytest.mark.parametrize("shift", [-25.0, 24.0], ids=["before", "below, at the edge"])
def test_face_crops_refuse_a_face_outside_its_frame(image: ImageFile, shift: float) -> None:
    crops = face_crops([face(image, shift=shift)], rule("box"))

    with pytest.raises(
        DatasetError, match=r"`a.png` lies outside its frame of 40 x 30 px: .*leave"
    ):
        next(crops)


def test_face_crops_name_the_image_that_is_too_large_to_warp() -> None:
    class Wide:
        name = "wide.png"

        def read(self) -> NDArray[np.uint8]:
            return np.zeros((1, 40_000, 3), np.uint8)

    crops = face_crops([BoxedImage(Wide(), np.array([0.0, 0, 40_000, 1]))], rule("box"))

    with pytest.raises(InputError, match=r"image `wide.png`: box 0 covers \d+ px of the frame"):
        next(crops)


def test_face_crops_refuse_batches_of_none(image: ImageFile) -> None:
    with pytest.raises(ValueError, match="`batch_size` must be 1 or more, got 0"):
        face_crops([face(image)], rule("box"), batch_size=0)


def test_boxes_of_faces_are_those_of_landmarks_if_asked(image: ImageFile) -> None:
    faces: list[Face] = [face(image), face(image, shift=1)]

    boxes = boxes_of_faces(faces, rule("landmarks"))

    assert boxes.tolist() == [[10, 8, 22, 20], [11, 9, 23, 21]]
    assert len(placement_from_boxes(boxes, SPEC.from_landmarks)) == 2


def test_face_crops_of_every_batch_have_their_own_placement(tmp_path: Path) -> None:
    images = [image_file(tmp_path, f"{index % 2}.png", grey=50) for index in range(5)]
    faces = [face(image, shift=index) for index, image in enumerate(images)]

    batches = list(face_crops(faces, rule("box"), batch_size=2))

    assert [batch.indices.tolist() for batch in batches] == [[0, 2], [4, 1], [3]]
    centres = [batch.placement.centre[:, 0].tolist() for batch in batches]
    assert centres == [[16, 18], [20, 17], [19]]
