"""Cut the crops out of a frame."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.geometry.placement import Placement, crop_from_frame
from facealign.spec import CropSpec

__all__ = ["crops_from_frame"]

# OpenCV 4 addresses the source with 16-bit integers and asserts that it is smaller than SHRT_MAX.
_MAX_SOURCE_PX = 32766
# Bilinear reads one pixel past the square; the other is for OpenCV 4's rounding to 1/32 px.
_MARGIN_PX = 2


def crops_from_frame(
    frame: NDArray[np.uint8], placement: Placement, spec: CropSpec
) -> NDArray[np.uint8]:
    """Return one crop per square.

    OpenCV is handed only the part of the frame that a square covers, so a frame may be any size.

    Args:
        frame: ``(H, W, 3)`` uint8, any channel order and any strides.
        placement: F squares in frame pixels; they may reach outside the frame.
        spec: Crop size, interpolation and border.

    Returns:
        ``(F, size_px, size_px, 3)`` uint8 in the channel order of `frame`.

    Raises:
        InputError: If a square covers more than 32766 px of the frame along an axis, the most
            that OpenCV can read.
    """
    shape = (len(placement), spec.size_px, spec.size_px, 3)
    crops = np.full(shape, spec.border_value, dtype=np.uint8)
    for index, crop in enumerate(crops):
        (x, y), side = placement.centre[index].tolist(), float(placement.side[index])
        left, right = _covered(x, side, frame.shape[1])
        top, bottom = _covered(y, side, frame.shape[0])
        if left >= right or top >= bottom:
            continue  # nothing but border
        if spec.interpolation == "nearest":
            _copy_nearest(frame, (x, y), side, crop)
            continue
        covered_px = max(right - left, bottom - top)
        if covered_px > _MAX_SOURCE_PX:
            raise InputError(
                f"box {index} covers {covered_px} px of the frame, "
                f"and OpenCV can warp {_MAX_SOURCE_PX}; shrink the frame first"
            )
        region = np.ascontiguousarray(frame[top:bottom, left:right])
        moved = Placement(np.array([[x - left, y - top]]), np.array([side]))
        _warp(region, crop_from_frame(moved, spec.size_px)[0], spec, crop)
    return crops


def _covered(middle: float, side: float, limit: int) -> tuple[int, int]:
    """Return the first and the one-past-last of the frame's pixels that a crop reads on an axis.

    Python's numbers: numpy is slow on a few, and more so behind a forward pass, in cold caches.
    """
    first = math.floor(middle - side / 2) - _MARGIN_PX
    behind = math.ceil(middle + side / 2) + _MARGIN_PX + 1
    return min(max(first, 0), limit), min(max(behind, 0), limit)


def _copy_nearest(
    frame: NDArray[np.uint8],
    centre: tuple[float, float],
    side: float,
    crop: NDArray[np.uint8],
) -> None:
    """Fill `crop` with the pixel of `frame` under the middle of each of its own; leave the rest.

    ``cv2.warpAffine`` with ``INTER_NEAREST`` would round positions to 1/32 px or so, differently in
    each release; rows and columns are independent, so two index lists do it exactly.

    Source: ``Image.transform`` of PIL, as SPIGA cuts its crops (SPEC 2.2).
    """
    size_px = len(crop)
    steps = (np.arange(size_px) + 0.5 - size_px / 2) / (size_px / side)
    columns, rows = (np.floor(steps + middle).astype(np.int64) for middle in centre)
    top, bottom = np.searchsorted(rows, (0, frame.shape[0]))
    left, right = np.searchsorted(columns, (0, frame.shape[1]))
    if left == right:
        return
    # Whole stretches of rows first: picking every pixel by two indices takes eight times as long.
    first, last = columns[left], columns[right - 1]
    stretches = frame[rows[top:bottom], first : last + 1]
    crop[top:bottom, left:right] = stretches.take(columns[left:right] - first, axis=1)


def _warp(
    region: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    spec: CropSpec,
    crop: NDArray[np.uint8],
) -> None:
    """Fill `crop`, every pixel of it; OpenCV writes into what has the right size and type."""
    cv2.warpAffine(
        region,
        matrix,
        (spec.size_px, spec.size_px),
        dst=crop,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(spec.border_value,) * 3,
    )
