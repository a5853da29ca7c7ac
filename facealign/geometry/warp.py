"""Cut the crops out of a frame."""

from __future__ import annotations

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
    for index in range(len(placement)):
        centre, side = placement.centre[index], placement.side[index]
        low, high = _covered(centre, side, frame.shape)
        if np.any(low >= high):
            continue  # nothing but border
        if spec.interpolation == "nearest":
            _copy_nearest(frame, centre, side, crops[index])
            continue
        if np.any(high - low > _MAX_SOURCE_PX):
            raise InputError(
                f"box {index} covers {int((high - low).max())} px of the frame, "
                f"and OpenCV can warp {_MAX_SOURCE_PX}; shrink the frame first"
            )
        region = np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]])
        matrix = crop_from_frame(Placement((centre - low)[None], side[None]), spec.size_px)[0]
        crops[index] = _warped(region, matrix, spec)
    return crops


def _covered(
    centre: NDArray[np.float64], side: np.float64, frame_shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the one-past-last ``(x, y)`` of the frame's pixels that a crop reads."""
    limit = np.array([frame_shape[1], frame_shape[0]])
    low = np.clip(np.floor(centre - side / 2) - _MARGIN_PX, 0, limit)
    high = np.clip(np.ceil(centre + side / 2) + _MARGIN_PX + 1, 0, limit)
    return low.astype(np.int64), high.astype(np.int64)


def _copy_nearest(
    frame: NDArray[np.uint8],
    centre: NDArray[np.float64],
    side: np.float64,
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


def _warped(
    region: NDArray[np.uint8], matrix: NDArray[np.float64], spec: CropSpec
) -> NDArray[np.uint8]:
    crop = cv2.warpAffine(
        region,
        matrix,
        (spec.size_px, spec.size_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(spec.border_value,) * 3,
    )
    return np.asarray(crop, dtype=np.uint8)
