from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facealign.errors import InputError, ShapeError
from facealign.evaluation import landmark_errors_percent, normalisers_px
from facealign.spec import FACE68

RELATIVE = 1e-7  # measured 7e-11: scales of 0.01 to 100, shifts up to 1000 px
TRUTH = np.random.default_rng(1).uniform(20, 220, (3, 68, 2))
PREDICTED = TRUTH + np.random.default_rng(2).normal(size=TRUTH.shape)


def test_landmark_errors_are_distances_in_percent_of_each_faces_length() -> None:
    truth = np.zeros((2, 3, 2))
    predicted = truth + np.array([[3, 4], [0, 0], [0, -2]])

    errors = landmark_errors_percent(predicted, truth, normalisers_px=np.array([50, 10]))

    np.testing.assert_allclose(errors, [[10, 0, 4], [50, 0, 20]])


@given(scale=st.floats(0.01, 100), shift_x=st.floats(-1000, 1000), shift_y=st.floats(-1000, 1000))
def test_landmark_errors_do_not_change_when_the_picture_is_scaled_and_moved(
    scale: float, shift_x: float, shift_y: float
) -> None:
    truth = scale * TRUTH + [shift_x, shift_y]
    predicted = scale * PREDICTED + [shift_x, shift_y]

    before = landmark_errors_percent(
        PREDICTED, TRUTH, normalisers_px=normalisers_px(TRUTH, "corners", scheme=FACE68)
    )
    after = landmark_errors_percent(
        predicted, truth, normalisers_px=normalisers_px(truth, "corners", scheme=FACE68)
    )

    np.testing.assert_allclose(after, before, rtol=RELATIVE)


@pytest.mark.parametrize(
    ("predicted", "truth", "lengths", "message"),
    [
        pytest.param(
            (2, 68, 2), (3, 68, 2), 3, "`predicted` must be (3, 68, 2) as `truth`", id="faces"
        ),
        pytest.param((3, 98, 2), (3, 68, 2), 3, "got (3, 98, 2); check that both", id="landmarks"),
        pytest.param((68, 2), (3, 68, 2), 3, "`predicted` must be (F, N, 2)", id="one-face"),
        pytest.param((3, 68, 2), (68, 2), 3, "`truth` must be (F, N, 2)", id="one-truth"),
        pytest.param((3, 0, 2), (3, 0, 2), 3, "must be (F, N, 2), got (3, 0, 2)", id="no-landmark"),
        pytest.param(
            (3, 68, 2), (3, 68, 2), 2, "`normalisers_px` must be (3,), got (2,)", id="lengths"
        ),
    ],
)
def test_landmark_errors_refuse_arrays_that_do_not_fit(
    predicted: tuple[int, ...], truth: tuple[int, ...], lengths: int, message: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        landmark_errors_percent(np.ones(predicted), np.ones(truth), normalisers_px=np.ones(lengths))


def test_landmark_errors_refuse_an_empty_set() -> None:
    empty = np.ones((0, 68, 2))

    with pytest.raises(InputError, match="`truth` has no face; pass one or more"):
        landmark_errors_percent(empty, empty, normalisers_px=np.ones(0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_landmark_errors_name_landmark_and_face_that_are_not_finite(value: float) -> None:
    predicted = PREDICTED.copy()
    predicted[1, 5, 0] = value

    with pytest.raises(
        InputError, match=f"`predicted` must be finite, got {value} at landmark 5 of face 1"
    ):
        landmark_errors_percent(predicted, TRUTH, normalisers_px=np.ones(3))


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan, np.inf])
def test_landmark_errors_name_the_face_whose_length_cannot_be_divided_by(length: float) -> None:
    lengths = np.array([1.0, 2.0, length])

    with pytest.raises(InputError, match=f"normaliser of face 2 .* above 0, got {length:g} px"):
        landmark_errors_percent(PREDICTED, TRUTH, normalisers_px=lengths)
