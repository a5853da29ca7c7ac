from __future__ import annotations

import cv2
import demo_faces
import numpy as np
import pytest
from demo_faces import Faces, training_batch

from facealign.models.families.slpt import FAMILY
from facealign.synth import synthetic_face

CROP = FAMILY.crop(FAMILY.tiny()["slpt"])  # of 64 px
LEFT_EYE, RIGHT_EYE = 60, 72  # as seen in the picture; each is the other's mirror image
OFF_PX = 1.5  # a disk of 4 px in a crop of 64 px, moved by some hundredths of a pixel


@pytest.fixture
def dark_faces() -> Faces:
    """Return one face of which nothing is seen but a disk at the outer corner of the left eye."""
    face = synthetic_face(0, 3)
    frame = np.zeros_like(face.image)
    cv2.circle(frame, np.rint(face.landmarks[LEFT_EYE]).astype(int).tolist(), 6, (255,) * 3, -1)
    return Faces((frame,), face.landmarks[None], face.box[None].astype(float), {})


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
