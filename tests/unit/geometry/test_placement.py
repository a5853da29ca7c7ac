from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.geometry import (
    Placement,
    boxes_from_landmarks,
    crop_from_frame,
    frame_from_crop,
    placement_from_boxes,
)
from facealign.spec import SquareRule

EXACT = SquareRule(1.2, "exact")
INTEGER = SquareRule(1.15, "integer")
ROUND_TRIP_PX = 1e-6  # of positions up to 10 000 px; measured 2e-11

position = st.floats(-10_000, 10_000)
extent = st.floats(2, 10_000)


def test_placement_from_boxes_takes_the_middle_and_the_longer_extent_when_exact() -> None:
    boxes = np.array([[10.5, 20.0, 30.5, 50.0]])

    placement = placement_from_boxes(boxes, EXACT)

    np.testing.assert_array_equal(placement.centre, [[20.5, 35.0]])
    np.testing.assert_allclose(placement.side, [36.0])


@pytest.mark.parametrize(
    ("box", "centre", "extent_px"),
    [
        pytest.param([10.4, 20.6, 30.4, 50.6], [20, 36], 30, id="corners-round-to-nearest"),
        pytest.param([0.5, 1.5, 10.5, 11.5], [6, 7], 10, id="halves-round-up"),
        pytest.param([0, 0, 11, 4], [6, 2], 11, id="odd-extent-moves-up"),
        pytest.param([-20, 300, 130, 420], [56, 360], 149, id="negative-truncates-like-int"),
        pytest.param([-0.5, -0.4, 9, 9], [5, 5], 9, id="just-below-zero-is-zero"),
    ],
)
def test_placement_from_boxes_follows_camera_py_when_integer(
    box: list[float], centre: list[int], extent_px: int
) -> None:
    placement = placement_from_boxes(np.array([box]), INTEGER)

    np.testing.assert_array_equal(placement.centre, [centre])
    np.testing.assert_allclose(placement.side, [1.15 * extent_px])


@given(x=position, y=position, width=extent, height=extent)
def test_integer_rule_equals_pythons_own_integer_arithmetic(
    x: float, y: float, width: float, height: float
) -> None:
    corners = [x, y, x + width, y + height]
    x0, y0, x1, y1 = (int(value + 0.5) for value in corners)

    placement = placement_from_boxes(np.array([corners]), INTEGER)

    np.testing.assert_array_equal(
        placement.centre[0], [x0 + (x1 - x0 + 1) // 2, y0 + (y1 - y0 + 1) // 2]
    )
    assert placement.side[0] == pytest.approx(1.15 * max(x1 - x0, y1 - y0))


def plain_placement(boxes: NDArray[np.float64], rule: SquareRule) -> Placement:
    """Return the placement by array arithmetic, all boxes at once."""
    boxes = np.trunc(boxes + 0.5) if rule.centre == "integer" else boxes
    extent = boxes[:, 2:] - boxes[:, :2]
    middle = np.floor((extent + 1) / 2) if rule.centre == "integer" else extent / 2
    return Placement(boxes[:, :2] + middle, rule.side_factor * extent.max(axis=1))


@pytest.mark.parametrize("rule", [EXACT, INTEGER], ids=["exact", "integer"])
@given(corners=st.lists(st.tuples(position, position, extent, extent), min_size=1, max_size=4))
def test_placement_from_boxes_equals_array_arithmetic_to_the_last_bit(
    rule: SquareRule, corners: list[tuple[float, float, float, float]]
) -> None:
    boxes = np.array([(x, y, x + width, y + height) for x, y, width, height in corners])

    placement = placement_from_boxes(boxes, rule)

    plain = plain_placement(boxes, rule)
    assert placement.centre.tobytes() == plain.centre.tobytes()
    assert placement.side.tobytes() == plain.side.tobytes()


def test_placement_from_boxes_gives_no_square_for_no_box() -> None:
    placement = placement_from_boxes(np.empty((0, 4)), EXACT)

    assert len(placement) == 0
    assert placement.centre.shape == (0, 2)


def test_placement_from_boxes_names_the_box_whose_square_has_no_side() -> None:
    boxes = np.array([[0, 0, 10, 10], [3.1, 3.1, 3.2, 3.2]])

    with pytest.raises(InputError, match=r"box 1 is too small to crop: its square would be 0 px"):
        placement_from_boxes(boxes, INTEGER)


@pytest.mark.parametrize(
    "box", [[-1.7e308, 0, 1.7e308, 10], [1.7e308, 0, -1.7e308, 10], [0, 0, 10, 1.7e308]]
)
@pytest.mark.parametrize("rule", [EXACT, INTEGER], ids=["exact", "integer"])
def test_placement_from_boxes_names_the_box_whose_square_is_not_finite(
    rule: SquareRule, box: list[float]
) -> None:
    boxes = np.array([[0.0, 0, 10, 10], box])

    with pytest.raises(InputError, match=r"box 1 is not finite"):
        placement_from_boxes(boxes, rule)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("corner", range(4))
@pytest.mark.parametrize("rule", [EXACT, INTEGER], ids=["exact", "integer"])
def test_placement_from_boxes_names_the_box_that_is_not_finite(
    rule: SquareRule, corner: int, value: float
) -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    boxes[1, corner] = value

    with pytest.raises(InputError, match=r"box 1 is not finite"):
        placement_from_boxes(boxes, rule)


def test_placement_from_boxes_rejects_a_single_box() -> None:
    with pytest.raises(ShapeError, match=r"`boxes` must be \(F, 4\), got \(4,\)"):
        placement_from_boxes(np.array([0.0, 0, 9, 9]), EXACT)


def test_boxes_from_landmarks_is_the_bounding_box_of_each_face() -> None:
    landmarks = np.array([[[1, 5], [3, 2], [2, 9]], [[0, 0], [-1, 1], [4, -2]]], np.float32)

    boxes = boxes_from_landmarks(landmarks)

    np.testing.assert_array_equal(boxes, [[1, 2, 3, 9], [-1, -2, 4, 1]])


@pytest.mark.parametrize(
    "shape",
    [pytest.param((98, 2), id="one-face"), pytest.param((1, 0, 2), id="no-landmarks")],
)
def test_boxes_from_landmarks_rejects_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"`landmarks` must be \(F, N, 2\).*`landmarks\[None\]`"):
        boxes_from_landmarks(np.zeros(shape))


def test_crop_from_frame_puts_the_centre_in_the_middle_and_the_side_on_the_crop() -> None:
    placement = Placement(np.array([[100.0, 50.0]]), np.array([64.0]))

    matrix = crop_from_frame(placement, 256)[0]

    np.testing.assert_allclose(matrix @ [100, 50, 1], [128, 128])
    np.testing.assert_allclose(matrix @ [100 - 32, 50 + 32, 1], [0, 256])


def test_frame_from_crop_keeps_faces_apart() -> None:
    placement = Placement(np.array([[10.0, 20.0], [100.0, 200.0]]), np.array([4.0, 8.0]))
    landmarks_norm = np.array([[[0.5, 0.5], [1.0, 0.0]]] * 2)

    landmarks = frame_from_crop(landmarks_norm, placement)

    np.testing.assert_allclose(landmarks, [[[10, 20], [12, 18]], [[100, 200], [104, 196]]])


@given(
    x=position,
    y=position,
    width=extent,
    height=extent,
    landmark=st.tuples(st.floats(-1, 2), st.floats(-1, 2)),
    size_px=st.integers(8, 1024),
)
def test_frame_to_crop_to_frame_returns_to_the_same_position(
    x: float, y: float, width: float, height: float, landmark: tuple[float, float], size_px: int
) -> None:
    placement = placement_from_boxes(np.array([[x, y, x + width, y + height]]), EXACT)
    there: NDArray[np.float64] = np.array([[landmark]])

    in_frame = frame_from_crop(there, placement)
    in_crop = crop_from_frame(placement, size_px)[0] @ [*in_frame[0, 0], 1]
    back = frame_from_crop(in_crop[None, None] / size_px, placement)

    np.testing.assert_allclose(back, in_frame, rtol=0, atol=ROUND_TRIP_PX)
