"""Triangles to pixels, the nearest last: hidden surfaces are painted over."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.camera import Camera
from facealign.synth.mesh import Mesh

__all__ = ["Picture", "render"]

_SHIFT = 4  # OpenCV fills at 1/16 px
_MAX_PX = 8000.0  # beyond it, fixed point would overflow
_THIN_PX2 = 1e-3  # twice the area below which a triangle has no gradient


@dataclass(frozen=True, slots=True)
class Picture:
    """What was drawn: ``(H, W, 3)`` float32 BGR 0 to 255 and more, and ``(H, W)`` bool where."""

    colour: NDArray[np.float32]
    drawn: NDArray[np.bool_]


def render(
    mesh: Mesh,
    camera: Camera,
    *,
    atlas: NDArray[np.uint8],
    light: NDArray[np.float64],
    size_px: int,
) -> Picture:
    """Return the mesh as the camera sees it.

    Args:
        mesh: What to draw.
        camera: Where it lands, in pixels of the picture to return.
        atlas: ``(H, W, 3)`` uint8 BGR texture.
        light: ``(V, 4)`` per vertex: three factors of the texture's colour and an addend.
        size_px: Side of the picture.
    """
    xy = np.clip(camera.project(mesh.vertices), -_MAX_PX, _MAX_PX)
    depth = camera.turned(mesh.vertices)[:, 2]
    triangles = _visible(mesh, xy, depth)
    index = _filled(xy[triangles], size_px)
    planes = _planes(xy[triangles], np.concatenate([mesh.uv, light], axis=1)[triangles])
    at = np.flatnonzero(index)  # P pixels that show something
    values = _values(planes, index.ravel()[at] - 1, at % size_px, at // size_px)  # (6, P)
    maps = np.zeros((2, size_px, size_px), np.float32)
    maps.reshape(2, -1)[:, at] = values[:2]
    texture = cv2.remap(atlas, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colour = np.zeros((size_px * size_px, 3), np.float32)
    colour[at] = texture.reshape(-1, 3)[at] * values[2:5].T + values[5][:, None]
    return Picture(colour.reshape(size_px, size_px, 3), index > 0)


def _visible(mesh: Mesh, xy: NDArray[np.float64], depth: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``(T, 3)`` triangles that face the camera, the farthest first."""
    corners = xy[mesh.triangles]
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    seen = (area > _THIN_PX2) | (mesh.two_sided & (area < -_THIN_PX2))
    triangles = mesh.triangles[seen]
    order = np.argsort(depth[triangles].mean(axis=1), kind="stable")
    return np.asarray(triangles[order], np.int64)


def _filled(corners: NDArray[np.float64], size_px: int) -> NDArray[np.int32]:
    """Return ``(H, W)`` the number of the triangle on top, counted from 1; 0 is none."""
    index = np.zeros((size_px, size_px), np.int32)
    fixed = np.rint(corners * 2**_SHIFT).astype(np.int32)
    for number, triangle in enumerate(fixed, 1):
        cv2.fillConvexPoly(index, triangle, number, cv2.LINE_8, _SHIFT)
    return index


def _planes(corners: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return ``(3, K, T)``: per pixel right, per pixel down, at 0; affine over each triangle."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    by_first, by_second = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    area = _cross(first, second)[:, None]
    right = (by_first * second[:, 1:] - by_second * first[:, 1:]) / area
    down = (by_second * first[:, :1] - by_first * second[:, :1]) / area
    start = values[:, 0] - right * corners[:, 0, :1] - down * corners[:, 0, 1:]
    return np.ascontiguousarray(np.stack([right.T, down.T, start.T]), np.float32)


def _values(
    planes: NDArray[np.float32],
    index: NDArray[np.int32],
    columns: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return ``(K, P)`` the values of each pixel's triangle, there; row by row, as that is fast."""
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    return np.stack(
        [
            right[index] * x + down[index] * y + start[index]
            for right, down, start in zip(*planes, strict=True)
        ]
    )


def _cross(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
