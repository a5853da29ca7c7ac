from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import NORMALISATIONS, Normalisation, normalisers_px
from facealign.evaluation.normaliser import EYES
from facealign.spec import COFW29, FACE68, WFLW98, Scheme

RELATIVE = 1e-9  # measured 9e-13: scales of 0.01 to 100, shifts up to 1000 px

SCHEMES = [pytest.param(FACE68, id="68"), pytest.param(WFLW98, id="98")]
BOX_NORMALISATIONS: list[Normalisation] = ["bbox", "height", "diagonal"]


def _faces(scheme: Scheme, face_count: int = 3) -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    return rng.uniform(20, 220, (face_count, scheme.landmark_count, 2))


def _boxes(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([landmarks.min(axis=1) - 7, landmarks.max(axis=1) + 9], axis=1)


@pytest.mark.parametrize(
    ("scheme", "first", "second"),
    [pytest.param(FACE68, 36, 45, id="68"), pytest.param(WFLW98, 60, 72, id="98")],
)
def test_corners_measures_between_the_outer_eye_corners(
    scheme: Scheme, first: int, second: int
) -> None:
    landmarks = np.full((1, scheme.landmark_count, 2), 1000.0)
    landmarks[0, first], landmarks[0, second] = (10, 20), (40, 60)

    lengths = normalisers_px(landmarks, "corners", scheme=scheme)

    np.testing.assert_array_equal(lengths, [50])


@pytest.mark.parametrize(
    ("scheme", "left", "right"),
    [
        pytest.param(FACE68, [36, 37, 38, 39, 40, 41], [42, 43, 44, 45, 46, 47], id="68"),
        pytest.param(WFLW98, [60, 61, 63, 64, 65, 67], [68, 69, 71, 72, 73, 75], id="98"),
    ],
)
def test_pupils_measures_between_the_means_of_six_landmarks_per_eye(
    scheme: Scheme, left: list[int], right: list[int]
) -> None:
    landmarks = np.full((1, scheme.landmark_count, 2), 1000.0)
    landmarks[0, left], landmarks[0, right] = (10, 20), (40, 60)
    landmarks[0, right[:2]] = [[38, 63], [42, 57]]  # spread out, with the mean where it was

    lengths = normalisers_px(landmarks, "pupils", scheme=scheme)

    np.testing.assert_allclose(lengths, [50], rtol=RELATIVE)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_eyes_take_landmarks_that_the_scheme_draws_as_eyes(scheme: Scheme) -> None:
    eyes = EYES[scheme.name]

    homes = [
        [set(outline) <= set(contour) for contour in scheme.contours] for outline in eyes.outlines
    ]

    assert [sum(home) for home in homes] == [1, 1]
    assert homes[0].index(True) != homes[1].index(True)
    assert eyes.outer_corners[0] in eyes.outlines[0]
    assert eyes.outer_corners[1] in eyes.outlines[1]


def test_box_is_the_root_of_the_area_of_the_smallest_box_around_the_landmarks() -> None:
    landmarks = np.full((1, 68, 2), 50.0)
    landmarks[0, 3], landmarks[0, 9] = (10, 30), (60, 120)

    lengths = normalisers_px(landmarks, "box", scheme=FACE68)

    np.testing.assert_allclose(lengths, [np.sqrt(50 * 90)], rtol=RELATIVE)


@pytest.mark.parametrize(
    ("normalisation", "length_px"),
    [
        pytest.param("bbox", np.sqrt(30 * 40), id="bbox"),
        pytest.param("height", 40, id="height"),
        pytest.param("diagonal", 50, id="diagonal"),
    ],
)
def test_box_normalisations_measure_the_given_box(
    normalisation: Normalisation, length_px: float
) -> None:
    boxes = np.array([[5.0, 6.0, 35.0, 46.0]])

    lengths = normalisers_px(_faces(FACE68, 1), normalisation, scheme=FACE68, boxes=boxes)

    np.testing.assert_allclose(lengths, [length_px], rtol=RELATIVE)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@given(scale=st.floats(0.01, 100), shift_x=st.floats(-1000, 1000), shift_y=st.floats(-1000, 1000))
def test_normalisers_grow_with_the_picture_and_do_not_move_with_it(
    scheme: Scheme, normalisation: Normalisation, scale: float, shift_x: float, shift_y: float
) -> None:
    landmarks = _faces(scheme)
    moved = scale * landmarks + [shift_x, shift_y]

    before = normalisers_px(landmarks, normalisation, scheme=scheme, boxes=_boxes(landmarks))
    boxes = scale * _boxes(landmarks) + [shift_x, shift_y, shift_x, shift_y]
    after = normalisers_px(moved, normalisation, scheme=scheme, boxes=boxes)

    np.testing.assert_allclose(after, scale * before, rtol=RELATIVE)


@pytest.mark.parametrize("normalisation", BOX_NORMALISATIONS)
def test_box_normalisations_ask_for_boxes(normalisation: Normalisation) -> None:
    with pytest.raises(InputError, match=f"'{normalisation}' needs `boxes`; pass them or use"):
        normalisers_px(_faces(FACE68), normalisation, scheme=FACE68)


@pytest.mark.parametrize("normalisation", BOX_NORMALISATIONS)
@pytest.mark.parametrize(
    "box",
    [
        pytest.param([10, 10, 10, 50], id="no-width"),
        pytest.param([10, 10, 50, 10], id="no-height"),
        pytest.param([50, 50, 10, 10], id="turned-round"),
    ],
)
def test_box_normalisations_name_the_face_of_a_box_without_area(
    normalisation: Normalisation, box: list[float]
) -> None:
    boxes = np.array([[0, 0, 5, 5], box, box], float)

    with pytest.raises(InputError, match=f"'{normalisation}' normaliser of face 1 must be"):
        normalisers_px(_faces(FACE68), normalisation, scheme=FACE68, boxes=boxes)


def test_corners_names_the_face_whose_eyes_coincide() -> None:
    landmarks = _faces(FACE68)
    landmarks[2, 45] = landmarks[2, 36]

    with pytest.raises(InputError, match=r"'corners' normaliser of face 2 .* above 0, got 0 px"):
        normalisers_px(landmarks, "corners", scheme=FACE68)


@pytest.mark.parametrize("normalisation", ["corners", "pupils"])
def test_eye_normalisations_list_the_schemes_they_know(normalisation: Normalisation) -> None:
    with pytest.raises(InputError, match="eyes of 300w68, wflw98 only, got scheme 'cofw29'"):
        normalisers_px(_faces(COFW29), normalisation, scheme=COFW29)


def test_box_needs_no_table_of_the_scheme() -> None:
    landmarks = _faces(COFW29)
    width, height = np.ptp(landmarks, axis=1).T

    lengths = normalisers_px(landmarks, "box", scheme=COFW29)

    np.testing.assert_allclose(lengths, np.sqrt(width * height), rtol=RELATIVE)


def test_unknown_normalisation_lists_those_there_are() -> None:
    listed = "use one of corners, pupils, box, bbox, height, diagonal"

    with pytest.raises(InputError, match=f"unknown normalisation 'eyes'; {listed}"):
        normalisers_px(_faces(FACE68), "eyes", scheme=FACE68)  # type: ignore[arg-type] # the claim


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param((68, 2), "`landmarks` must be (F, N, 2), got (68, 2); for one face", id="2-d"),
        pytest.param((1, 68, 3), "`landmarks` must be (F, N, 2), got (1, 68, 3)", id="3-d-points"),
        pytest.param((1, 98, 2), "must have 68 landmarks, got 98; check the scheme", id="98"),
    ],
)
def test_normalisers_refuse_landmarks_of_another_shape(
    shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        normalisers_px(np.ones(shape), "box", scheme=FACE68)


def test_normalisers_refuse_boxes_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=re.escape("`boxes` must be (3, 4), got (2, 4)")):
        normalisers_px(_faces(FACE68), "bbox", scheme=FACE68, boxes=np.ones((2, 4)))


def test_normalisers_name_the_face_of_a_box_that_is_not_finite() -> None:
    boxes = _boxes(_faces(FACE68))
    boxes[1, 2] = np.nan

    with pytest.raises(InputError, match="`boxes` must be finite, got nan at face 1"):
        normalisers_px(_faces(FACE68), "height", scheme=FACE68, boxes=boxes)
