from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.synth.camera import Pose, build_camera, draw_pose

DRAWS = 300
FACE = np.array([[-1.0, -0.3, 0.3], [1.0, -0.3, 0.3], [0.0, 0.6, 1.5], [0.0, 1.66, 0.9]])
FRAME = np.array([100.0, 120.0, 80.0])
NOSE, MIDDLE = np.array([0.0, 0.35, 1.5]), np.array([0.0, 0.35, 0.1])
SUM = 1e-9  # px


def angles(rng: np.random.Generator, *, is_strong: bool) -> NDArray[np.float64]:
    """Return sizes of yaw, pitch and roll of many poses."""
    poses = [draw_pose(rng, is_strong=is_strong) for _ in range(DRAWS)]
    return np.abs([[pose.yaw, pose.pitch, pose.roll] for pose in poses])


def test_strong_pose_is_far_from_frontal_in_one_angle(rng: np.random.Generator) -> None:
    found = angles(rng, is_strong=True)

    strong = found >= (35, 22, 25)
    assert np.all(strong.sum(axis=1) == 1)
    assert np.all(strong.any(axis=0))
    assert np.all(found.max(axis=0) <= (75, 32, 45))


def test_other_pose_is_near_frontal(rng: np.random.Generator) -> None:
    found = angles(rng, is_strong=False)

    assert np.all(found.max(axis=0) <= (30, 15, 20))


@pytest.mark.parametrize(
    ("pose", "direction"),
    [
        pytest.param(Pose(yaw=30), (1, 0), id="yaw-right"),
        pytest.param(Pose(pitch=20), (0, 1), id="pitch-down"),
    ],
)
def test_nose_turns_where_the_angle_says(pose: Pose, direction: tuple[int, int]) -> None:
    camera = build_camera(pose, FACE, FRAME)

    moved = camera.project(NOSE) - camera.project(MIDDLE)

    assert moved @ direction > 10
    assert abs(moved @ direction[::-1]) < SUM


def test_roll_turns_clockwise() -> None:
    camera = build_camera(Pose(roll=30), FACE, FRAME)

    left, right = camera.project(FACE[:2])

    assert np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])) == pytest.approx(30)


@pytest.mark.parametrize(
    "pose", [Pose(), Pose(yaw=-60, roll=10, distance=7)], ids=["front", "side"]
)
def test_face_lands_where_the_frame_says(pose: Pose) -> None:
    xy = build_camera(pose, FACE, FRAME).project(FACE)

    low, high = xy.min(axis=0), xy.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, FRAME[:2], atol=SUM)
    assert (high - low).max() == pytest.approx(FRAME[2])
