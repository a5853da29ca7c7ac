"""What was drawn once is drawn again: the demo checkpoint was trained on it.

``drawn_before.json`` holds summaries of faces of seed 1, one of every occluder among them and none
blurred, as codecs of two versions of OpenCV differ. It changes with a new demo checkpoint only.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facealign.synth import synthetic_face

SEED, SIZE_PX = 1, 64
FACES: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("drawn_before.json").read_text("ascii")
)
LANDMARK_PX = 2e-3  # three digits are kept
GREY_LEVELS = 1.0  # of means of 8 x 8 px; max measured 0.2 between OpenCV 4.10 and 5.0

each_face = pytest.mark.parametrize("index", FACES)


@cache
def summary(index: int) -> dict[str, Any]:
    """Return box and attributes, every seventh landmark, and mean BGR of 8 x 8 parts."""
    face = synthetic_face(SEED, index, size_px=SIZE_PX)
    parts = face.image.reshape(8, SIZE_PX // 8, 8, SIZE_PX // 8, 3).mean(axis=(1, 3))
    return {
        "attributes": list(face.attributes.as_numbers()),
        "box": face.box.tolist(),
        "landmarks": face.landmarks[::7].round(3).tolist(),
        "grey": parts.mean(axis=-1).round(1).tolist(),
        "bgr": parts.mean(axis=(0, 1)).round(1).tolist(),
    }


@each_face
def test_attributes_and_box_are_those_of_before(index: str) -> None:
    found, before = summary(int(index)), FACES[index]

    assert found["attributes"] == before["attributes"]
    assert found["box"] == before["box"]


@each_face
def test_landmarks_are_those_of_before(index: str) -> None:
    found, before = summary(int(index)), FACES[index]

    np.testing.assert_allclose(found["landmarks"], before["landmarks"], atol=LANDMARK_PX)


@each_face
def test_picture_is_that_of_before(index: str) -> None:
    found, before = summary(int(index)), FACES[index]

    np.testing.assert_allclose(found["grey"], before["grey"], atol=GREY_LEVELS)
    np.testing.assert_allclose(found["bgr"], before["bgr"], atol=GREY_LEVELS)
