"""Check what a caller hands to a session, and say what to do instead."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facealign.errors import InputError, ShapeError

__all__ = ["boxes_from_input", "check_boxes_in_frame", "check_crops", "check_frame"]

# A face of fewer pixels has no landmarks, and whole-pixel rules would leave its square no side.
_MIN_BOX_PX = 2
# Above this a float32 landmark no longer resolves 1/16 px, and OpenCV's fixed point overflows.
_MAX_COORDINATE_PX = 1_000_000


def check_frame(frame: object) -> NDArray[np.uint8]:
    """Return `frame` if it is ``(H, W, 3)`` uint8.

    Raises:
        ShapeError: If it is not; the message says how to make it so.
    """
    if frame is None:
        raise ShapeError("`frame` is None; `cv2.imread` gives None for a file that it cannot read")
    if not isinstance(frame, np.ndarray):
        raise ShapeError(f"`frame` must be a numpy array, got {type(frame).__name__}")
    advice = _frame_advice(frame)
    if advice is not None:
        raise ShapeError(
            f"`frame` must be (H, W, 3) uint8 BGR, got {frame.shape} {frame.dtype}; {advice}"
        )
    return frame


def boxes_from_input(boxes: ArrayLike) -> NDArray[np.float64]:
    """Return the boxes as a new ``(F, 4)`` float64 array, F from 0 up.

    Raises:
        ShapeError: If they are not rows of four numbers.
        InputError: If a box is not finite, inverted, flat, below 2 px across, or a million px away.
    """
    try:
        array = np.asarray(boxes)
    except ValueError as error:
        raise ShapeError(f"`boxes` must be (F, 4) numbers: {error}") from error
    if array.size == 0 and array.ndim <= 2:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iuf":
        raise ShapeError(
            f"`boxes` must be (F, 4) numbers, got {array.shape} {array.dtype}; {_box_advice(array)}"
        )
    result = array.astype(np.float64)
    for index, box in enumerate(result.tolist()):  # numpy is slow on four numbers at a time
        problem = _box_problem(box)
        if problem is not None:
            raise InputError(f"box {index} {_text(box)} {problem}")
    return result


def check_boxes_in_frame(boxes: NDArray[np.float64], frame: NDArray[np.uint8]) -> None:
    """Check that every box shares a pixel with the frame.

    Raises:
        InputError: If a box lies outside.
    """
    height, width = frame.shape[:2]
    for index, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InputError(
                f"box {index} {_text((x0, y0, x1, y1))} lies outside the frame of {width} x "
                f"{height} px; boxes are in pixels of this frame, leave out those of faces that "
                "have left it"
            )


def check_crops(crops: object, size_px: int) -> NDArray[np.uint8]:
    """Return `crops` if they are ``(K, size_px, size_px, 3)`` uint8.

    Raises:
        ShapeError: If they are not.
    """
    shape, dtype = getattr(crops, "shape", None), getattr(crops, "dtype", type(crops).__name__)
    expected = (size_px, size_px, 3)
    if not isinstance(crops, np.ndarray) or dtype != np.uint8 or crops.shape[1:] != expected:
        raise ShapeError(
            f"`crops` must be (K, {size_px}, {size_px}, 3) uint8 BGR, got {shape} {dtype}; "
            "for one crop pass `crop[None]`, for a whole frame use `run`"
        )
    return crops


def _frame_advice(frame: NDArray[np.generic]) -> str | None:
    """Return what to do about a frame, or None if it is good."""
    if frame.ndim != 3 or frame.shape[2] != 3:
        return _frame_shape_advice(frame.shape)
    if frame.size == 0:
        return "it has no pixels"
    if frame.dtype.kind == "f":
        return "if it is 0 to 1, pass `(frame * 255).round().astype(np.uint8)`"
    return None if frame.dtype == np.uint8 else "scale it to 0 to 255 and pass `.astype(np.uint8)`"


def _frame_shape_advice(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "it looks grey, so pass `cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)`"
    if len(shape) == 4:
        return "pass one frame at a time, such as `frame[0]`"
    if len(shape) == 3 and shape[2] == 4:
        return "it has an alpha channel, so pass `cv2.cvtColor(frame, cv2.COLOR_BGRA2BGR)`"
    if len(shape) == 3 and shape[0] == 3:
        return "it looks channels-first, so pass `frame.transpose(1, 2, 0)`"
    return "pass the image as `cv2.imread` gives it"


def _box_advice(array: NDArray[np.generic]) -> str:
    if array.ndim == 1 and array.shape == (4,):
        return "for one box pass `[box]`"
    if array.ndim == 2 and array.shape[1] > 4:
        return "if the first four columns are the corners, pass `boxes[:, :4]`"
    return "each row is (x0, y0, x1, y1) in frame pixels"


def _box_problem(box: Sequence[float]) -> str | None:
    """Return what is wrong with a box, or None."""
    if not all(map(math.isfinite, box)):
        return "is not finite; leave it out, the detector found nothing there"
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if max(map(abs, box)) > _MAX_COORDINATE_PX:
        return f"reaches beyond {_MAX_COORDINATE_PX} px; are these frame pixels?"
    if width <= 0 or height <= 0:
        return "has no area; boxes are corners (x0, y0, x1, y1), not (x, y, width, height)"
    if max(width, height) < _MIN_BOX_PX:
        return f"is below {_MIN_BOX_PX} px across; boxes are in frame pixels, not fractions"
    return None


def _text(box: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"
