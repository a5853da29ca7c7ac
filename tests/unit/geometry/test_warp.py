from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.geometry import Placement, crops_from_frame
from facealign.spec import CropSpec, SquareRule

RULE = SquareRule(1.0, "exact")
SPEC = CropSpec(32, RULE, RULE)
# OpenCV 5 interpolates in floating point and rounds (measured 0.51); OpenCV 4 rounds positions to
# 1/32 px, which on the smooth frame is 2 levels and 8 at its edges.
MAX_GREY = 8.0
SQUARES = [
    pytest.param(80.3, 60.2, 50.7, id="inside"),
    pytest.param(80, 60, 32, id="one-to-one"),
    pytest.param(3.4, 5.1, 40, id="over-the-top-left-corner"),
    pytest.param(158.2, 119.4, 40, id="over-the-bottom-right-corner"),
    pytest.param(70.2, 61.7, 0.5, id="half-a-pixel"),
    pytest.param(80, 60, 1000, id="frame-is-a-small-part"),
]


def placement_at(x: float, y: float, side: float) -> Placement:
    return Placement(np.array([[x, y]]), np.array([side]))


def bilinear(
    frame: NDArray[np.uint8], x: float, y: float, side: float, *, border: float = 0.0
) -> NDArray[np.float64]:
    """Return the crop by the definition, in plain numpy."""
    height, width = frame.shape[:2]
    offset = (np.arange(32) - 16) * side / 32
    left, top = np.floor(offset + x).astype(int), np.floor(offset + y).astype(int)
    fx, fy = (offset + x - left)[None, :, None], (offset + y - top)[:, None, None]
    padded = np.full((height + 2, width + 2, 3), border)
    padded[1:-1, 1:-1] = frame

    def pixel(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
        return padded[rows][:, columns]

    above = pixel(top, left) * (1 - fx) + pixel(top, left + 1) * fx
    below = pixel(top + 1, left) * (1 - fx) + pixel(top + 1, left + 1) * fx
    crop: NDArray[np.float64] = above * (1 - fy) + below * fy
    return crop


@pytest.mark.parametrize(
    ("x", "y", "side"),
    [
        *SQUARES,
        pytest.param(80.5, 60.5, 3.2e6, id="frame-is-less-than-a-crop-pixel"),
        pytest.param(1e6, -1e6, 1.99e6, id="touches-nothing-far-away"),
    ],
)
def test_crops_from_frame_reads_what_the_definition_says(
    frame: NDArray[np.uint8], x: float, y: float, side: float
) -> None:
    crop = crops_from_frame(frame, placement_at(x, y, side), SPEC)[0]

    assert np.abs(crop - bilinear(frame, x, y, side)).max() <= MAX_GREY


def plain_crop(frame: NDArray[np.uint8], x: float, y: float, side: float) -> NDArray[np.generic]:
    """Return the crop by array arithmetic, into memory of OpenCV's own."""
    centre = np.array([x, y])
    limit = np.array([frame.shape[1], frame.shape[0]])
    low = np.clip(np.floor(centre - side / 2) - 2, 0, limit).astype(np.int64)
    high = np.clip(np.ceil(centre + side / 2) + 3, 0, limit).astype(np.int64)
    if (low >= high).any():
        return np.full((32, 32, 3), SPEC.border_value, np.uint8)
    region = np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]])
    scale = 32 / side
    shift = 16 - scale * (centre - low)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return np.asarray(cv2.warpAffine(region, matrix, (32, 32)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing writes into it
@given(x=st.floats(-90, 250), y=st.floats(-90, 210), side=st.floats(0.5, 300))
def test_crops_from_frame_equals_array_arithmetic_to_the_last_bit(
    frame: NDArray[np.uint8], x: float, y: float, side: float
) -> None:
    crop = crops_from_frame(frame, placement_at(x, y, side), SPEC)[0]

    np.testing.assert_array_equal(crop, plain_crop(frame, x, y, side))


def test_crops_from_frame_fills_the_outside_with_the_border_value(
    frame: NDArray[np.uint8],
) -> None:
    spec = CropSpec(32, RULE, RULE, border_value=77)

    crop = crops_from_frame(frame, placement_at(0, 60, 64), spec)[0]

    assert np.abs(crop - bilinear(frame, 0, 60, 64, border=77)).max() <= MAX_GREY
    np.testing.assert_array_equal(crop[:, :15], 77)


@pytest.mark.parametrize(
    ("x", "y"),
    [(-500, 60), (-30, 60), (190, 60), (80, -30), (80, 140)],
    ids=["far", "left", "right", "above", "below"],
)
def test_crops_from_frame_gives_only_border_outside_the_frame(
    frame: NDArray[np.uint8], x: float, y: float
) -> None:
    crop = crops_from_frame(frame, placement_at(x, y, 32), SPEC)

    assert crop.shape == (1, 32, 32, 3)
    assert not crop.any()


def test_crops_from_frame_keeps_the_order_of_the_squares(frame: NDArray[np.uint8]) -> None:
    both = Placement(np.array([[40.0, 40.0], [100.0, 70.0]]), np.array([32.0, 48.0]))

    crops = crops_from_frame(frame, both, SPEC)

    first = crops_from_frame(frame, placement_at(40, 40, 32), SPEC)
    second = crops_from_frame(frame, placement_at(100, 70, 48), SPEC)
    np.testing.assert_array_equal(crops, np.concatenate([first, second]))


def test_crops_from_frame_takes_any_strides(frame: NDArray[np.uint8]) -> None:
    mirrored_rgb = frame[::2, ::-1, ::-1]

    crop = crops_from_frame(mirrored_rgb, placement_at(70, 30, 40), SPEC)

    copied = crops_from_frame(mirrored_rgb.copy(), placement_at(70, 30, 40), SPEC)
    np.testing.assert_array_equal(crop, copied)


def test_crops_from_frame_leaves_the_frame_alone(frame: NDArray[np.uint8]) -> None:
    frame.flags.writeable = False

    crops_from_frame(frame, placement_at(70, 30, 40), SPEC)

    assert not frame.flags.writeable


def test_crops_from_frame_reads_a_frame_wider_than_opencv_can_address() -> None:
    frame = np.zeros((4, 40_000, 3), np.uint8)
    frame[:, 39_000:] = 200

    crop = crops_from_frame(frame, placement_at(39_100, 2, 8), SPEC)[0]

    assert crop.max() == 200


def test_crops_from_frame_rejects_a_square_that_covers_more_than_opencv_can_address() -> None:
    frame = np.zeros((4, 40_000, 3), np.uint8)

    with pytest.raises(InputError, match=r"box 0 covers 40000 px .* shrink the frame first"):
        crops_from_frame(frame, placement_at(20_000, 2, 50_000), SPEC)


NEAREST = CropSpec(32, RULE, RULE, "nearest", border_value=9)


@pytest.mark.parametrize(("x", "y", "side"), SQUARES)
def test_crops_from_frame_takes_the_pixel_under_the_middle_of_each_of_its_own(
    frame: NDArray[np.uint8], x: float, y: float, side: float
) -> None:
    crop = crops_from_frame(frame, placement_at(x, y, side), NEAREST)[0]

    for row, column in np.ndindex(32, 32):
        source_y = math.floor((row + 0.5 - 16) * side / 32 + y)
        source_x = math.floor((column + 0.5 - 16) * side / 32 + x)
        is_inside = 0 <= source_y < frame.shape[0] and 0 <= source_x < frame.shape[1]
        expected = frame[source_y, source_x] if is_inside else [9, 9, 9]
        np.testing.assert_array_equal(crop[row, column], expected)


def test_crops_from_frame_reads_the_nearest_of_any_width() -> None:
    row = np.arange(120_000, dtype=np.int64)[None, :, None].astype(np.uint8)
    frame = np.broadcast_to(row, (120_000, 120_000, 3))  # every row is the same memory

    crop = crops_from_frame(frame, placement_at(60_000, 60_000, 120_000.0), NEAREST)[0]

    expected = np.floor((np.arange(32) + 0.5) * 120_000 / 32).astype(np.int64).astype(np.uint8)
    np.testing.assert_array_equal(crop[7, :, 0], expected)
