"""The atlas: where on one texture the skin and every other material lie."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.surface import CROWN_LEVEL, NECK_LEVEL

__all__ = [
    "ATLAS_SHAPE",
    "MAX_ANGLE",
    "SKIN_SHAPE",
    "TILES",
    "curve",
    "paint",
    "tile_uv",
    "uv_from_skin",
]

SKIN_SHAPE = (800, 640)  # rows and columns: some 1.2 texels to a pixel of a face of 300 px
ATLAS_SHAPE = (800, 768)
MAX_ANGLE = np.radians(115)  # further behind, the skin has the colour of the edge
# Row and number of rows; a tile is 128 columns wide, right of the skin.
TILES = {
    "hair": (0, 320),
    "cloth": (320, 160),
    "mask": (480, 128),
    "dark": (608, 96),
    "ear": (704, 96),
}
_TILE_MARGIN = 3  # texels, so that bilinear reading stays inside
_SHIFT = 4
_PER_SPAN = 6  # points of a curve between two landmarks


def uv_from_skin(angle: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(..., 2)`` column and row of the atlas for coordinates of `HeadSurface`."""
    rows, columns = SKIN_SHAPE
    u = np.clip((angle / MAX_ANGLE + 1) / 2, 0, 1) * (columns - _TILE_MARGIN)
    v = (level - CROWN_LEVEL) / (NECK_LEVEL - CROWN_LEVEL) * (rows - 1)
    return np.stack([u, v], axis=-1)


def tile_uv(
    name: str, across: NDArray[np.float64], down: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``(..., 2)`` column and row of a tile's place, 0 to 1 across and down."""
    row, height = TILES[name]
    width = ATLAS_SHAPE[1] - SKIN_SHAPE[1]
    u = SKIN_SHAPE[1] + _TILE_MARGIN + across * (width - 1 - 2 * _TILE_MARGIN)
    v = row + _TILE_MARGIN + down * (height - 1 - 2 * _TILE_MARGIN)
    return np.stack([u, v], axis=-1)


def curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smooth open line through ``(K, 2)`` points: a Catmull-Rom spline."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = (np.arange(_PER_SPAN) / _PER_SPAN)[:, None, None]
    p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    spans = p1 + t / 2 * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return np.concatenate([spans.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def paint(
    canvas: NDArray[np.uint8],
    polygon: NDArray[np.float64],
    colour: NDArray[np.float64],
    *,
    opacity: float = 1.0,
    blur_px: float = 0.0,
    clip: NDArray[np.float64] | None = None,
) -> None:
    """Fill a polygon on `canvas`, in place.

    Args:
        canvas: ``(H, W, 3)`` uint8.
        polygon: ``(K, 2)`` columns and rows.
        colour: ``(3,)`` BGR.
        opacity: 0 to 1.
        blur_px: How soft the edge is.
        clip: ``(K, 2)`` polygon outside of which nothing is painted.
    """
    margin = 2 + int(3 * blur_px)
    limit = np.array([canvas.shape[1], canvas.shape[0]])
    low = np.clip(np.floor(polygon.min(axis=0)).astype(int) - margin, 0, limit)
    high = np.clip(np.ceil(polygon.max(axis=0)).astype(int) + margin + 1, 0, limit)
    if np.any(high <= low):
        return
    mask = _mask(polygon, low, high)
    if blur_px > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur_px), np.uint8)
    if clip is not None:
        mask = np.minimum(mask, _mask(clip, low, high))
    region = canvas[low[1] : high[1], low[0] : high[0]]
    share = mask[:, :, None] * np.float32(opacity / 255)
    region[:] = np.clip(region + share * (colour.astype(np.float32) - region) + 0.5, 0, 255)


def _mask(
    polygon: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> NDArray[np.uint8]:
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    fixed = np.rint((polygon - low) * 2**_SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [fixed], (255,), cv2.LINE_AA, _SHIFT)
    return mask
