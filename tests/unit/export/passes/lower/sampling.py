"""Patch crops as text, where they are at the border, and what they give, written plainly."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["CHANNELS", "SIDES", "border_grid", "crop_text", "patches_of", "random_maps"]

Array = NDArray[np.float32]

SIDES = (4, 7)  # H, W; one a power of two, one not
CHANNELS = 3


def crop_text(rows: int, columns: int, *, sides: tuple[int, int] = SIDES, more: str = "") -> str:
    """Return a graph that crops patches, and reads them.

    Args:
        rows: P.
        columns: N.
        sides: H and W.
        more: Attributes beyond the defaults.
    """
    height, width = sides
    return f"""
    g (float[B, {CHANNELS}, {height}, {width}] features, float[B, {rows}, {columns}, 2] grid)
      => (float[B, {CHANNELS}, {rows}, {columns}] y)
    {{
      patches = GridSample<mode = "bilinear"{more}>(features, grid)
      y = Neg(patches)
    }}
    """


def border_grid(sides: tuple[int, int] = SIDES) -> Array:
    """Return every pair of positions that could go wrong, ``(1, P, N, 2)``.

    In cells: the middles of the outer ones, the border half a cell further, where zeros begin one
    cell further, and a hair on either side of each; between cells; far outside.
    """
    lines = []
    for side in sides:
        edges = [-1.0, -0.5, 0, 1, side - 2, side - 1, side - 0.5, side]
        inside = [0.25, 0.5, side / 2 - 0.1]
        hairs = [edge + step for edge in edges for step in (-1e-3, 1e-3)]
        lines.append([*edges, *inside, *hairs, -2.5, side + 1.5, -1e3, 1e3, -1e8, 1e8])
    pairs = np.array(list(product(*lines)), dtype=np.float64)  # y, x
    grid = (2 * pairs[:, ::-1] + 1) / np.array(sides[::-1]) - 1
    found: Array = grid.reshape(1, len(lines[0]), len(lines[1]), 2).astype(np.float32)
    return found


def random_maps(rng: np.random.Generator, batch: int, sides: tuple[int, int] = SIDES) -> Array:
    """Return ``(B, C, H, W)`` maps between -1 and 1, each image another."""
    return rng.uniform(-1, 1, size=(batch, CHANNELS, *sides)).astype(np.float32)


def patches_of(features: Array, grid: Array) -> NDArray[np.float64]:
    """Return bilinear samples with zeros outside, ``(B, C, P, N)``, as a sum over all cells.

    Args:
        features: ``(B, C, H, W)``.
        grid: ``(B, P, N, 2)``, corners not aligned.
    """
    height, width = features.shape[2:]
    x, y = (
        ((grid[..., axis].astype(np.float64) + 1) * side - 1) / 2
        for axis, side in enumerate((width, height))
    )
    by_x = np.maximum(0, 1 - np.abs(x[..., None] - np.arange(width)))
    by_y = np.maximum(0, 1 - np.abs(y[..., None] - np.arange(height)))
    patches: NDArray[np.float64] = np.einsum("bchw,bpnh,bpnw->bcpn", features, by_y, by_x)
    return patches
