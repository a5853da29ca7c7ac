"""Surfaces as triangles: what the renderer draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mesh", "grid_mesh", "joined"]


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles with a texture.

    Attributes:
        vertices: ``(V, 3)`` in the frame of `Shape`.
        normals: ``(V, 3)`` of length 1, outwards.
        uv: ``(V, 2)`` column and row of the atlas, in texels.
        shine: ``(V,)`` how much light is mirrored, 0 to 1.
        triangles: ``(T, 3)`` indices of vertices.
        two_sided: ``(T,)`` whether a triangle is also seen from behind.
    """

    vertices: NDArray[np.float64]
    normals: NDArray[np.float64]
    uv: NDArray[np.float64]
    shine: NDArray[np.float64]
    triangles: NDArray[np.int64]
    two_sided: NDArray[np.bool_]


def grid_mesh(
    points: NDArray[np.float64],
    uv: NDArray[np.float64],
    *,
    shine: float = 0.1,
    two_sided: bool = False,
) -> Mesh:
    """Return the mesh of a grid of positions.

    Args:
        points: ``(R, C, 3)``; with rows downwards and columns to the right, seen from outside.
        uv: ``(R, C, 2)`` column and row of the atlas.
        shine: How much light is mirrored, 0 to 1.
        two_sided: Whether it is also seen from behind.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate(
        [np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))]
    )
    down, right = np.gradient(points, axis=0), np.gradient(points, axis=1)
    normals = np.cross(right, down)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    return Mesh(
        vertices=points.reshape(-1, 3),
        normals=normals.reshape(-1, 3),
        uv=uv.reshape(-1, 2).astype(np.float64),
        shine=np.full(rows * columns, shine),
        triangles=triangles,
        two_sided=np.full(len(triangles), two_sided),
    )


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        shine=np.concatenate([mesh.shine for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]
        ),
        two_sided=np.concatenate([mesh.two_sided for mesh in meshes]),
    )
