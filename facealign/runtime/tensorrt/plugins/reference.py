"""The patch crop in numpy: what its kernel must give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["crop_patches"]

_HALF = np.float32(2)


def crop_patches(features: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples of a map, bilinear, zeros outside, corners not aligned.

    Args:
        features: ``(B, C, H, W)`` float32 or float16, any range.
        grid: ``(B, P, N, 2)`` float32 x and y; cell c of W is at ``(2 c + 1) / W - 1``. What is no
            number is taken for -1, as ONNX Runtime's GridSample does; what is infinite is outside.

    Returns:
        ``(B, C, P, N)`` float32; the kernel gives the type of `features`.

    Source: ONNX, GridSample-16, mode ``bilinear``, padding_mode ``zeros``, align_corners 0.
    """
    height, width = features.shape[2:]
    x, y = (_cells(grid[..., axis], size) for axis, size in ((0, width), (1, height)))
    left, top = np.floor(x), np.floor(y)
    patches = np.zeros((*features.shape[:2], *grid.shape[1:3]))
    for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
        for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
            patches += (across * down)[:, None] * _values(features, column, row)
    return patches.astype(np.float32)


def _cells(values: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    """Return positions in cells, rounded to float32 as the kernel does, -2 where far outside."""
    known = np.where(np.isnan(values), np.float32(-1), values.astype(np.float32))
    with np.errstate(invalid="ignore", over="ignore"):
        cells = ((known + np.float32(1)) * np.float32(size) - np.float32(1)) / _HALF
    outside = ~((cells > -1) & (cells < size))
    return np.where(outside, -2.0, cells.astype(np.float64))


def _values(
    features: NDArray[np.float32], column: NDArray[np.float64], row: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``(B, C, P, N)``, the map at whole positions, 0 outside."""
    height, width = features.shape[2:]
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    x, y = (np.where(is_inside, axis, 0).astype(np.int64) for axis in (column, row))
    image = np.arange(len(features))[:, None, None]
    values = features[image, :, y, x].astype(np.float64)  # (B, P, N, C)
    return np.asarray(np.moveaxis(np.where(is_inside[..., None], values, 0.0), -1, 1))
