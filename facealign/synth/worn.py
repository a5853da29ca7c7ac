"""What hides part of a face and is worn on it: sunglasses and masks, as meshes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import tile_uv
from facealign.synth.mesh import Mesh, grid_mesh
from facealign.synth.person import Shape
from facealign.synth.surface import HeadSurface

__all__ = ["mask_mesh", "sunglasses"]

_LENS_POWER = 3.0  # of the superellipse: between round and rectangular
_TO_EAR = np.array([1.03, -0.02, -0.05])
_EDGE_LEVEL = 1.72  # of a mask: under the chin


def sunglasses(surface: HeadSurface, shape: Shape, rng: np.random.Generator) -> list[Mesh]:
    """Return two dark lenses, a bridge and two temples."""
    size = np.array([0.34, 0.25]) * rng.uniform(0.9, 1.25, 2)
    nose = float(surface.points_in_front(np.array([0.0, 0.08]))[2]) + 0.05
    meshes = []
    for side in (-1.0, 1.0):
        centre = np.array([side * max(shape.eye_x, size[0] + 0.06), 0.03, nose])
        meshes.append(_lens(centre, size))
        hinge = centre + np.array([side * size[0] * 0.95, -0.08, -0.14])
        ear = _TO_EAR * (side * shape.face_width, 1, 1)
        meshes.append(_strip(hinge, ear, width=0.07))
    inner = max(shape.eye_x, float(size[0]) + 0.06) - float(size[0])
    bridge = np.array([[-inner - 0.03, -0.02, nose + 0.02], [inner + 0.03, -0.02, nose + 0.02]])
    meshes.append(_strip(bridge[0], bridge[1], width=0.06))
    return meshes


def mask_mesh(surface: HeadSurface, shape: Shape, rng: np.random.Generator) -> list[Mesh]:
    """Return a mask over nose, mouth and chin, a little off the skin."""
    angle = np.radians(np.linspace(-68, 68, 37))
    top = (0.28 + rng.uniform(-0.05, 0.15)) + 0.22 * (np.abs(angle) / angle[-1]) ** 1.5
    share = np.linspace(0, 1, 26)[:, None]
    level = top + share * (_EDGE_LEVEL - top)
    points = surface.points(np.broadcast_to(angle, level.shape), level)
    # Cloth spans hollows: it lies on the foremost of its neighbours, in each column.
    front = points[..., 2].copy()
    for shift in (1, 2, 3):
        front[shift:] = np.maximum(front[shift:], points[:-shift, :, 2] - 0.05 * shift)
        front[:-shift] = np.maximum(front[:-shift], points[shift:, :, 2] - 0.05 * shift)
    points[..., 2] = front
    points = points + 0.06 * np.stack(
        [np.sin(angle) * np.ones_like(level), np.zeros_like(level), np.cos(angle) + 0 * level], -1
    )
    points[..., 0] *= shape.face_width**0.1
    uv = tile_uv(
        "mask", np.broadcast_to(np.linspace(0, 1, len(angle)), level.shape), 0 * level + share
    )
    return [grid_mesh(points, uv, shine=0.02, two_sided=True)]


def _lens(centre: NDArray[np.float64], size: NDArray[np.float64]) -> Mesh:
    around, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 33), np.linspace(0, 1, 6))
    c, s = np.cos(around), np.sin(around)
    rim = (np.abs(c) ** _LENS_POWER + np.abs(s) ** _LENS_POWER) ** (-1 / _LENS_POWER)
    x, y = radius * rim * c * size[0], radius * rim * s * size[1]
    bulge = -0.35 * (x + centre[0]) ** 2 + 0.35 * centre[0] ** 2
    points = centre + np.stack([x, y, bulge], axis=-1)
    return grid_mesh(points, tile_uv("dark", radius, radius), shine=0.5, two_sided=True)


def _strip(start: NDArray[np.float64], stop: NDArray[np.float64], *, width: float) -> Mesh:
    along = np.linspace(0, 1, 12)[None, :, None]
    line = start + along * (stop - start)
    height = np.array([[[0.0, -width / 2, 0]], [[0.0, width / 2, 0]]])
    points = line + height
    return grid_mesh(
        points, tile_uv("dark", points[..., 0] * 0, points[..., 0] * 0), two_sided=True
    )
