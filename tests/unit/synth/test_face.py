from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets import WFLW_ATTRIBUTES
from facealign.errors import UsageError
from facealign.synth import (
    PROBABILITIES,
    Attributes,
    SyntheticFace,
    synthetic_face,
)
from facealign.synth.attributes import draw_attributes

SIZE_PX = 128
INDICES = range(4)
ALL = {name: Attributes(*(name == each for each in WFLW_ATTRIBUTES)) for name in WFLW_ATTRIBUTES}
NONE = Attributes()
# Mean grey levels of a whole picture that an attribute changes, at 64 px. Least of 4 faces each:
# 0.21 (small eyes that close), make-up 0.59, blur 2.2, occlusion 4.5, pose 11, illumination 20.
CHANGED = 0.1
MARGIN = 0.02  # of the frame beside the landmarks; least of 300 faces 0.042
BOX_OVERLAP = 0.7  # intersection over union with the landmarks' box; least of 300 faces 0.79
SHARE_TOLERANCE = 0.02  # of 4000 draws: 2.7 standard deviations of the most frequent


@cache
def small_face(name: str, index: int) -> SyntheticFace:
    """Return a face of 64 px with one attribute, or ``"none"``; several tests look at it."""
    return synthetic_face(1, index, size_px=64, attributes=ALL.get(name, NONE))


def face_boxes(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([landmarks.min(axis=0), landmarks.max(axis=0)])


def overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    both = np.prod(np.clip(high - low, 0, None))
    areas = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(both / (areas - both))


def test_synthetic_face_is_the_same_on_every_call() -> None:
    first, second = (synthetic_face(3, 5, size_px=SIZE_PX) for _ in range(2))

    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.landmarks, second.landmarks)
    assert np.array_equal(first.box, second.box)
    assert first.attributes == second.attributes


@pytest.mark.parametrize(("seed", "index"), [(3, 6), (4, 5)], ids=["index", "seed"])
def test_synthetic_face_depends_on_seed_and_index(seed: int, index: int) -> None:
    first, second = synthetic_face(3, 5, size_px=64), synthetic_face(seed, index, size_px=64)

    assert not np.array_equal(first.landmarks, second.landmarks)


def test_synthetic_face_has_the_shapes_and_types_it_promises() -> None:
    face = synthetic_face(0, 0, size_px=SIZE_PX)

    arrays = (face.image, face.landmarks, face.box)
    assert [array.shape for array in arrays] == [(SIZE_PX, SIZE_PX, 3), (98, 2), (4,)]
    assert [str(array.dtype) for array in arrays] == ["uint8", "float64", "int64"]


def test_landmarks_scale_with_the_picture() -> None:
    small, large = (synthetic_face(0, 1, size_px=size).landmarks for size in (64, 256))

    np.testing.assert_allclose((large + 0.5) / 4, small + 0.5, atol=1e-9)


@pytest.mark.parametrize("name", [*WFLW_ATTRIBUTES, "none"])
def test_landmarks_are_in_the_frame_and_the_box_is_around_them(name: str) -> None:
    faces = [small_face(name, i) for i in INDICES]

    places = np.stack([face.landmarks for face in faces]) / 64
    assert places.min() > MARGIN
    assert places.max() < 1 - MARGIN
    overlaps = [overlap(face_boxes(face.landmarks), face.box.astype(float)) for face in faces]
    assert min(overlaps) > BOX_OVERLAP


@pytest.mark.parametrize("name", WFLW_ATTRIBUTES)
def test_attribute_changes_the_picture(name: str) -> None:
    differences = [
        np.abs(small_face(name, i).image.astype(float) - small_face("none", i).image).mean()
        for i in INDICES
    ]

    assert min(differences) > CHANGED


@pytest.mark.parametrize("name", ["illumination", "makeup", "occlusion", "blur"])
def test_landmarks_stay_where_only_the_picture_changes(name: str) -> None:
    changed, plain = small_face(name, 2).landmarks, small_face("none", 2).landmarks

    assert np.array_equal(changed, plain)


@pytest.mark.parametrize("name", ["pose", "expression"])
def test_landmarks_move_with_the_head(name: str) -> None:
    changed, plain = small_face(name, 2).landmarks, small_face("none", 2).landmarks

    assert np.abs(changed - plain).max() > 1


@pytest.mark.parametrize("name", WFLW_ATTRIBUTES)
def test_attributes_are_numbers_in_the_order_of_wflw(name: str) -> None:
    assert ALL[name].as_numbers().index(1) == WFLW_ATTRIBUTES.index(name)
    assert NONE.as_numbers() == (0,) * 6


def test_attributes_are_drawn_with_the_shares_of_wflw(rng: np.random.Generator) -> None:
    drawn = np.array([draw_attributes(rng).as_numbers() for _ in range(4000)])

    np.testing.assert_allclose(drawn.mean(axis=0), PROBABILITIES, atol=SHARE_TOLERANCE)


def test_pupils_and_lips_are_not_of_the_colour_of_the_cheek() -> None:
    face = synthetic_face(1, 1, size_px=256, attributes=NONE)
    grey = cv2.cvtColor(face.image, cv2.COLOR_BGR2GRAY).astype(float)

    def level(xy: NDArray[np.float64]) -> float:
        x, y = np.rint(xy).astype(int)
        return float(grey[y - 1 : y + 2, x - 1 : x + 2].mean())

    cheek = level((face.landmarks[55] + face.landmarks[4]) / 2)
    assert level(face.landmarks[96]) < cheek - 20
    assert level(face.landmarks[90]) < cheek - 10


@pytest.mark.parametrize(
    ("seed", "index", "size_px", "message"),
    [
        pytest.param(-1, 0, 64, "seed must be 0 or more, got -1; pass", id="seed"),
        pytest.param(0, -2, 64, "index of a face must be 0 or more, got -2; count", id="index"),
        pytest.param(0, 0, 63, "size must be 64 to 1024 px, got 63; pass", id="small"),
        pytest.param(0, 0, 1025, "size must be 64 to 1024 px, got 1025; pass", id="large"),
    ],
)
def test_synthetic_face_refuses_numbers_out_of_range(
    seed: int, index: int, size_px: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        synthetic_face(seed, index, size_px=size_px)
