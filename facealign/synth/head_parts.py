"""The meshes of a person: head and neck, ears, hair, shoulders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import tile_uv, uv_from_skin
from facealign.synth.mesh import Mesh, grid_mesh
from facealign.synth.person import HairStyle, Shape
from facealign.synth.surface import CROWN_LEVEL, NECK_LEVEL, HeadSurface

__all__ = ["ear_meshes", "hair_mesh", "head_mesh", "shoulder_mesh"]

# Finer where the face is: a quad there is some 0.04 units, 3 px of a face of 160 px.
_ANGLES = np.radians(
    np.concatenate(
        [np.linspace(-180, -95, 6)[:-1], np.linspace(-95, 95, 57), np.linspace(95, 180, 6)[1:]]
    )
)
_LEVELS = np.concatenate(
    [
        np.linspace(CROWN_LEVEL, -0.45, 13)[:-1],
        np.linspace(-0.45, 1.76, 56),
        np.linspace(1.76, NECK_LEVEL, 9)[1:],
    ]
)
_HAIR_ANGLES = np.radians(np.linspace(-180, 180, 49))
_HAIR_ROWS = 18
_HAIR_CENTRE = np.array([0.0, -0.2, -0.1])
_EAR_LEVEL = 0.30
# Edge of the hair above the front, beside the ears and behind, and thickness, by style.
_HAIR: dict[HairStyle, tuple[float, float, float, float]] = {
    "short": (-0.98, 0.05, 0.75, 0.07),
    "full": (-0.85, 0.30, 1.00, 0.17),
    "long": (-0.92, 2.10, 2.30, 0.15),
}


def head_mesh(surface: HeadSurface) -> Mesh:
    """Return the skin of the head and neck."""
    angle, level = np.meshgrid(_ANGLES, _LEVELS)
    return grid_mesh(surface.points(angle, level), uv_from_skin(angle, level), shine=0.16)


def ear_meshes(surface: HeadSurface, shape: Shape) -> list[Mesh]:
    """Return both ears: bowls that stand off the head."""
    around, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 17), np.linspace(0, 1, 7))
    meshes = []
    for side in (-1.0, 1.0):
        root = surface.points(np.array(side * 1.62), np.array(_EAR_LEVEL))
        back = np.array([0.30 * side, 0.0, -0.95]) * 0.24
        out = np.array([0.9 * side, 0.0, 0.42])
        bowl = 0.07 * np.sin(np.pi * radius**2) - 0.05 * np.exp(-((radius / 0.4) ** 2))
        lobe = 1 - 0.25 * np.clip(np.sin(around), 0, 1)
        points = root + shape.ear * (
            (radius * (0.75 + np.cos(around)) * lobe)[..., None] * back
            + (radius * np.sin(around) * 0.33)[..., None] * np.array([0.0, 1.0, 0.0])
            + (bowl + 0.02)[..., None] * out
        )
        uv = tile_uv("ear", around / (2 * np.pi), radius)
        meshes.append(grid_mesh(points, uv, shine=0.08, two_sided=True))
    return meshes


def hair_mesh(surface: HeadSurface, style: HairStyle, rng: np.random.Generator) -> list[Mesh]:
    """Return the hair as a shell over the head, or nothing for the bald."""
    if style == "bald":
        return []
    front, side, back, thickness = _HAIR[style]
    edge = _hair_edge((front, side, back), rng)
    share = np.linspace(0, 1, _HAIR_ROWS)[:, None]
    level = CROWN_LEVEL + 0.005 + share * (edge - CROWN_LEVEL)
    on_head = np.minimum(level, 0.45)  # below it hair hangs
    angle = np.broadcast_to(_HAIR_ANGLES, level.shape)
    base = surface.points(angle, on_head)
    rise = thickness * rng.uniform(0.8, 1.3) * (0.25 + 0.75 * np.sqrt(np.clip(1 - share**3, 0, 1)))
    rise = rise * (1 + 0.3 * _waves(level.shape, rng))
    points = _HAIR_CENTRE + (base - _HAIR_CENTRE) * (1 + rise[..., None])
    points[..., 1] += level - on_head
    points[..., 0] *= 1 + 0.10 * np.clip(level - 0.45, 0, 1)
    strand = np.abs((angle / np.pi * 3 + 1) % 2 - 1)
    uv = tile_uv("hair", strand, np.broadcast_to(share, level.shape))
    return [grid_mesh(points, uv, shine=0.22, two_sided=True)]


def shoulder_mesh() -> Mesh:
    """Return clothes from the neck down, out of every picture."""
    sections = np.array(
        [
            [2.10, 0.68, 0.68, -0.70],
            [2.30, 0.95, 0.74, -0.85],
            [2.50, 1.60, 0.80, -0.95],
            [2.75, 2.10, 0.85, -0.95],
            [3.40, 2.35, 0.95, -0.95],
            [9.00, 2.50, 1.00, -0.95],
        ]
    )
    angle = np.radians(np.linspace(-180, 180, 41))
    y, half_width, front, back = (column[:, None] for column in sections.T)
    z = np.where(np.cos(angle) > 0, front * np.cos(angle), -back * np.cos(angle)) - 0.2
    x = half_width * np.sin(angle)
    points = np.stack([x, np.broadcast_to(y, x.shape), z], axis=-1)
    across = np.broadcast_to((angle / np.pi + 1) / 2, x.shape)
    down = np.broadcast_to(np.linspace(0, 1, len(sections))[:, None], x.shape)
    return grid_mesh(points, tile_uv("cloth", across, down), shine=0.0)


def _hair_edge(levels: tuple[float, float, float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the level at which hair ends, for each of `_HAIR_ANGLES`."""
    front, side, back = levels
    angle = np.degrees(np.abs(_HAIR_ANGLES))
    places = [0, 38 + rng.uniform(-6, 6), 62, 76, 110, 180]
    front = front + rng.uniform(-0.15, 0.15)
    values = [front, front + 0.05, min(side, -0.35), side, (side + back) / 2, back]
    parting = 0.12 * rng.uniform(-1, 1) * np.sin(_HAIR_ANGLES) * (angle < 60)
    ragged = rng.normal(0, 0.025, len(angle))
    ragged[-1] = ragged[0]
    return np.interp(angle, places, values) + parting + ragged


def _waves(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return smooth random heights, -1 to 1, that close behind the head."""
    down = np.linspace(0, 1, shape[0])[:, None]
    total = np.zeros(shape)
    for frequency in (2, 3, 5, 9):
        phase = rng.uniform(0, 2 * np.pi, 2)
        total += np.sin(frequency * _HAIR_ANGLES + phase[0] + 4 * np.sin(3 * down + phase[1]))
    return total / 4
