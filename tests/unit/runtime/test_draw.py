from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.runtime.draw import draw_landmarks
from facealign.spec import Landmarks


def ring(
    *, x: float, y: float, radius: float, count: int = 98, scheme: str = "wflw98"
) -> Landmarks:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    xy = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    box = [[x - radius, y - radius, x + radius, y + radius]]
    return Landmarks(xy[None].astype(np.float32), np.array(box), scheme)


def drawn(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((before != after).any(axis=2))


def test_draw_landmarks_draws_on_a_copy(frame: NDArray[np.uint8]) -> None:
    before = frame.copy()

    canvas = draw_landmarks(frame, ring(x=80, y=60, radius=40))

    np.testing.assert_array_equal(frame, before)
    assert drawn(frame, canvas).any()


def test_draw_landmarks_marks_every_landmark() -> None:
    frame = np.zeros((400, 400, 3), np.uint8)
    landmarks = ring(x=200, y=200, radius=150)

    canvas = draw_landmarks(frame, landmarks)

    columns, rows = np.rint(landmarks.xy[0]).astype(int).T
    assert canvas[rows, columns].min() > 0


def test_draw_landmarks_grows_with_the_face() -> None:
    small, large = np.zeros((200, 200, 3), np.uint8), np.zeros((2000, 2000, 3), np.uint8)

    drawn_small = drawn(small, draw_landmarks(small, ring(x=100, y=100, radius=90))).mean()
    drawn_large = drawn(large, draw_landmarks(large, ring(x=1000, y=1000, radius=900))).mean()

    assert drawn_large > drawn_small / 3  # with lines of fixed width it would be a tenth


def test_draw_landmarks_without_faces_changes_nothing(frame: NDArray[np.uint8]) -> None:
    nobody = Landmarks(np.empty((0, 98, 2), np.float32), np.empty((0, 4)), "wflw98")

    np.testing.assert_array_equal(draw_landmarks(frame, nobody), frame)


@pytest.mark.parametrize(
    "landmarks",
    [
        pytest.param(ring(x=80, y=60, radius=40, count=5, scheme="custom5"), id="unknown-scheme"),
        pytest.param(ring(x=0, y=0, radius=70), id="partly-outside"),
        pytest.param(ring(x=80, y=60, radius=1), id="tiny"),
        pytest.param(ring(x=-1e6, y=1e6, radius=1e6), id="huge"),
    ],
)
def test_draw_landmarks_takes(frame: NDArray[np.uint8], landmarks: Landmarks) -> None:
    canvas = draw_landmarks(frame, landmarks)

    assert canvas.shape == frame.shape


def test_draw_landmarks_takes_any_strides(frame: NDArray[np.uint8]) -> None:
    mirrored = frame[:, ::-1]

    canvas = draw_landmarks(mirrored, ring(x=80, y=60, radius=40))

    assert drawn(mirrored, canvas).any()
