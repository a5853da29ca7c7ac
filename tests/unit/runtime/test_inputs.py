from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from facealign.errors import InputError, ShapeError
from facealign.runtime.inputs import (
    boxes_from_input,
    check_boxes_in_frame,
    check_crops,
    check_frame,
)


def image(*shape: int, dtype: str = "uint8") -> NDArray[np.generic]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        pytest.param(None, r"is None; `cv2.imread` gives None for a file", id="imread-failed"),
        pytest.param([[0]], r"must be a numpy array, got list", id="list"),
        pytest.param(image(8, 9), r"\(8, 9\) uint8; it looks grey, .*GRAY2BGR", id="grey"),
        pytest.param(image(8, 9, 1), r"it looks grey, .*GRAY2BGR", id="grey-with-axis"),
        pytest.param(image(8, 9, 4), r"alpha channel, .*BGRA2BGR", id="alpha"),
        pytest.param(image(3, 8, 9), r"channels-first, .*transpose\(1, 2, 0\)", id="chw"),
        pytest.param(image(1, 8, 9, 3), r"one frame at a time, .*frame\[0\]", id="batch"),
        pytest.param(image(8, 9, 2), r"as `cv2.imread` gives it", id="two-channels"),
        pytest.param(image(8), r"as `cv2.imread` gives it", id="one-axis"),
        pytest.param(image(0, 9, 3), r"it has no pixels", id="empty"),
        pytest.param(image(8, 9, 3, dtype="f4"), r"float32; if it is 0 to 1, .*255", id="float"),
        pytest.param(image(8, 9, 3, dtype="u2"), r"uint16; scale it to 0 to 255", id="16-bit"),
        pytest.param(image(8, 9, 3, dtype="?"), r"bool; scale it to 0 to 255", id="mask"),
    ],
)
def test_check_frame_says_what_to_do(frame: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        check_frame(frame)


def test_check_frame_returns_a_good_frame_uncopied() -> None:
    frame = np.zeros((1, 1, 3), np.uint8)

    assert check_frame(frame) is frame


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([[1, 2, 30, 40]], id="ints"),
        pytest.param([(1.0, 2.0, 30.0, 40.0)], id="tuples"),
        pytest.param(np.array([[1, 2, 30, 40]], np.uint8), id="uint8"),
        pytest.param(np.array([[1, 2, 30, 40]], np.float16), id="float16"),
    ],
)
def test_boxes_from_input_takes_any_numbers(boxes: ArrayLike) -> None:
    result = boxes_from_input(boxes)

    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [[1, 2, 30, 40]])


@pytest.mark.parametrize(
    "boxes",
    [pytest.param([], id="list"), pytest.param(np.empty((0, 4), np.float32), id="array")],
)
def test_boxes_from_input_takes_no_boxes(boxes: ArrayLike) -> None:
    assert boxes_from_input(boxes).shape == (0, 4)


def test_boxes_from_input_does_not_keep_the_callers_array() -> None:
    boxes = np.array([[1.0, 2.0, 30.0, 40.0]])

    result = boxes_from_input(boxes)
    boxes[:] = 0

    np.testing.assert_array_equal(result, [[1, 2, 30, 40]])


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        pytest.param([1, 2, 30, 40], r"got \(4,\) .*for one box pass `\[box\]`", id="one-box"),
        pytest.param([[1, 2, 3, 4, 0.9]], r"pass `boxes\[:, :4\]`", id="with-score"),
        pytest.param([[1, 2, 3]], r"each row is \(x0, y0, x1, y1\)", id="three-columns"),
        pytest.param([[[1, 2, 3, 4]]], r"got \(1, 1, 4\)", id="three-axes"),
        pytest.param([[1, 2, 3, 4], [5]], r"must be \(F, 4\) numbers: ", id="ragged"),
        pytest.param([["a", "b", "c", "d"]], r"numbers, got \(1, 4\) <U1", id="text"),
        pytest.param([[1, 2, 3, 4j]], r"complex128", id="complex"),
        pytest.param([[None] * 4], r"object", id="none-in-row"),
        pytest.param(None, r"got \(\) object", id="none"),
        pytest.param(7, r"got \(\) int64", id="a-number"),
    ],
)
def test_boxes_from_input_rejects_another_shape(boxes: ArrayLike, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        boxes_from_input(boxes)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        pytest.param([np.nan, 0, 9, 9], r"\(nan, 0, 9, 9\) is not finite; leave it out", id="nan"),
        pytest.param([0, 0, np.inf, 9], r"is not finite", id="inf"),
        pytest.param([9, 9, 0, 0], r"has no area; boxes are corners", id="inverted"),
        pytest.param([100, 50, 40, 60], r"has no area; .* not \(x, y, width, height\)", id="xywh"),
        pytest.param([5, 5, 5, 5], r"has no area", id="zero-sized"),
        pytest.param([5, 5, 5, 9], r"has no area", id="zero-width"),
        pytest.param([0.2, 0.2, 0.7, 0.9], r"below 2 px across; .*not fractions", id="fractions"),
        pytest.param([0, 0, 1e7, 9], r"reaches beyond 1000000 px; are these", id="huge"),
        pytest.param([-1e300, 0, 1e300, 9], r"reaches beyond 1000000 px", id="astronomic"),
    ],
)
def test_boxes_from_input_names_the_box_that_cannot_be_used(box: list[float], message: str) -> None:
    with pytest.raises(InputError, match=rf"^box 1 .*{message}"):
        boxes_from_input(np.array([[0, 0, 10, 10], box]))


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([-20, 2, 0, 8], id="left"),
        pytest.param([9, 2, 20, 8], id="right"),
        pytest.param([2, -9, 8, -0.1], id="above"),
        pytest.param([2, 8, 8, 99], id="below"),
    ],
)
def test_check_boxes_in_frame_names_the_box_outside(box: list[float]) -> None:
    frame = np.zeros((8, 9, 3), np.uint8)
    boxes = np.array([[0, 0, 4, 4], box])

    with pytest.raises(InputError, match=r"^box 1 .* lies outside the frame of 9 x 8 px; boxes"):
        check_boxes_in_frame(boxes, frame)


def test_check_boxes_in_frame_accepts_a_box_that_shares_one_pixel() -> None:
    frame = np.zeros((8, 9, 3), np.uint8)

    check_boxes_in_frame(np.array([[-20, -20, 0.5, 0.5], [8, 7, 30, 30]]), frame)


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        pytest.param(image(16, 16, 3), r"got \(16, 16, 3\) uint8; for one crop", id="one"),
        pytest.param(image(2, 8, 8, 3), r"must be \(K, 16, 16, 3\)", id="size"),
        pytest.param(image(2, 16, 16, 3, dtype="f4"), r"got .* float32", id="float"),
        pytest.param([1], r"got None list", id="list"),
    ],
)
def test_check_crops_rejects_another_shape(crops: object, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        check_crops(crops, 16)
