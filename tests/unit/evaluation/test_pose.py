from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facealign.errors import InputError, ShapeError
from facealign.evaluation import PoseError, pose_error

DEGREES = 1e-9  # measured 5e-13 at up to five turns


def test_pose_error_is_the_mean_absolute_difference_per_angle() -> None:
    truth = np.zeros((2, 3))
    predicted = np.array([[1, -2, 3], [-3, 2, 5]])

    error = pose_error(predicted, truth)

    assert error == PoseError(2, 2, 4)
    assert error.mean_mae_degrees == pytest.approx(8 / 3)


def test_pose_error_goes_the_short_way_round() -> None:
    error = pose_error(np.array([[179, -170, 0]]), np.array([[-179, 170, 180]]))

    assert error == PoseError(2, 20, 180)


@given(angle=st.floats(-90, 90), offset=st.floats(-179, 179), turns=st.integers(-5, 5))
def test_pose_error_does_not_see_whole_turns(angle: float, offset: float, turns: int) -> None:
    truth = np.full((1, 3), angle)

    error = pose_error(truth + offset + 360 * turns, truth)

    assert error.yaw_mae_degrees == pytest.approx(abs(offset), abs=DEGREES)


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        pytest.param((4, 6), (4, 3), "predicted pose must be (F, 3), got (4, 6)", id="six-values"),
        pytest.param((4, 3), (3,), "truth pose must be (F, 3), got (3,)", id="one-face"),
        pytest.param((4, 3), (5, 3), "predicted pose must be (5, 3) as the truth", id="faces"),
    ],
)
def test_pose_error_refuses_poses_that_do_not_fit(
    predicted: tuple[int, ...], truth: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ShapeError, match=re.escape(message)):
        pose_error(np.zeros(predicted), np.zeros(truth))


def test_pose_error_refuses_an_empty_set() -> None:
    with pytest.raises(InputError, match="predicted pose has no face; pass one or more"):
        pose_error(np.zeros((0, 3)), np.zeros((0, 3)))


def test_pose_error_names_the_face_that_is_not_finite() -> None:
    truth = np.zeros((3, 3))
    truth[2, 1] = np.nan

    with pytest.raises(InputError, match="`truth pose` must be finite, got nan at face 2"):
        pose_error(np.zeros((3, 3)), truth)
