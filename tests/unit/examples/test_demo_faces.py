from __future__ import annotations

from pathlib import Path

import cv2
import demo_faces
import numpy as np
import pytest
from demo_faces import Faces, cut_crops, read_faces, rendered_faces, training_batch

from facealign.datasets import WFLW_ATTRIBUTES
from facealign.models.families.slpt import FAMILY
from facealign.synth import synthetic_face, write_dataset

CROP = FAMILY.crop(FAMILY.tiny()["slpt"])  # of 64 px
LEFT_EYE, RIGHT_EYE = 60, 72  # as seen in the picture; each is the other's mirror image
SEED, COUNT = 1, 5  # of these, face 3 is for the test
JPEG = 6  # mean grey levels between a picture and its JPEG; measured 2.1 at the most
ROUNDED_PX = 0.5  # the rule of SLPT rounds the middle of a box
OFF_PX = 1.5  # a disk of 4 px in a crop of 64 px, moved by some hundredths of a pixel


@pytest.fixture
def dark_faces() -> Faces:
    """Return one face of which nothing is seen but a disk at the outer corner of the left eye."""
    face = synthetic_face(0, 3)
    frame = np.zeros_like(face.image)
    cv2.circle(frame, np.rint(face.landmarks[LEFT_EYE]).astype(int).tolist(), 6, (255,) * 3, -1)
    return Faces((frame,), face.landmarks[None], face.box[None].astype(float), {})


@pytest.fixture(scope="module")
def rendered() -> Faces:
    return rendered_faces(SEED, COUNT)


def test_read_faces_gives_what_was_rendered(rendered: Faces, tmp_path: Path) -> None:
    write_dataset(tmp_path / "faces", count=COUNT, seed=SEED)

    train, test = (read_faces(tmp_path / "faces", split) for split in ("train", "test"))

    order = [0, 1, 2, 4]
    np.testing.assert_allclose(train.landmarks, rendered.landmarks[order], atol=1e-6)
    np.testing.assert_allclose(test.landmarks, rendered.landmarks[[3]], atol=1e-6)
    np.testing.assert_array_equal(train.boxes, rendered.boxes[order])
    off = [
        np.abs(train.frames[i].astype(float) - rendered.frames[order[i]]).mean() for i in range(4)
    ]
    assert max(off) < JPEG
    assert len(read_faces(tmp_path / "faces", "train", count=3)) == 3


def test_rendered_faces_are_in_the_subsets_of_their_attributes(rendered: Faces) -> None:
    drawn = [synthetic_face(SEED, index).attributes.as_numbers() for index in range(COUNT)]

    flags = [
        [int(face in rendered.subsets.get(name, ())) for name in WFLW_ATTRIBUTES]
        for face in range(COUNT)
    ]

    assert flags == [list(each) for each in drawn]
    assert all(rendered.subsets.values())


def test_crops_are_cut_around_landmarks_or_boxes(rendered: Faces) -> None:
    crops, of_landmarks = cut_crops(rendered, CROP)
    other_crops, of_boxes = cut_crops(rendered, CROP, from_boxes=True)

    low, high = rendered.landmarks.min(axis=1), rendered.landmarks.max(axis=1)
    np.testing.assert_allclose(of_landmarks.centre, (low + high) / 2)
    middles = (rendered.boxes[:, :2] + rendered.boxes[:, 2:]) / 2
    np.testing.assert_allclose(of_boxes.centre, middles, atol=ROUNDED_PX)
    assert crops.shape == other_crops.shape == (COUNT, CROP.size_px, CROP.size_px, 3)
    assert not np.array_equal(crops, other_crops)


@pytest.mark.parametrize("seed", range(8))
def test_training_batch_moves_landmarks_with_the_picture(
    dark_faces: Faces, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_faces, "_ERASE_SHARE", 0.0)

    crops, landmarks = training_batch(dark_faces, [0], np.random.default_rng(seed), crop=CROP)

    grey = cv2.GaussianBlur(crops[0].astype(np.float32).sum(axis=-1), (0, 0), 1.5)
    y, x = np.unravel_index(int(grey.argmax()), grey.shape)
    eyes_px = CROP.size_px * landmarks[0, [LEFT_EYE, RIGHT_EYE]]
    assert np.linalg.norm(eyes_px - [x, y], axis=-1).min() <= OFF_PX
    assert eyes_px[0, 0] < eyes_px[1, 0]


def test_training_batch_mirrors_about_half_of_the_faces(
    dark_faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_faces, "_ERASE_SHARE", 0.0)

    crops, _ = training_batch(dark_faces, [0] * 64, np.random.default_rng(0), crop=CROP)

    columns = crops.astype(np.float32).sum(axis=(1, 3)).argmax(axis=1)  # of the disk
    share = float((columns > CROP.size_px / 2).mean())
    assert 0.3 < share < 0.7


def test_training_batch_is_the_same_for_the_same_seed(dark_faces: Faces) -> None:
    first = training_batch(dark_faces, [0, 0], np.random.default_rng(5), crop=CROP)

    second = training_batch(dark_faces, [0, 0], np.random.default_rng(5), crop=CROP)

    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0][0], first[0][1])
