"""Light: a lamp with a colour, light from all around, shadows that the head casts on itself."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.mesh import Mesh

__all__ = ["Lamp", "draw_lamp", "light_on"]

_CELL = 0.07  # of a unit: how fine the shadow is
_CELLS = 96
_BIAS = 0.06
_GLOSS = 18.0
_VIEW = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp and the light around it.

    Attributes:
        towards: ``(3,)`` of length 1, from the head to the lamp, as the camera sees it.
        colour: ``(3,)`` BGR factors.
        strength: Of the lamp, about 0 to 2.
        ambient: Of the light around, about 0 to 1.
        hardness: 0 for a soft edge between light and shadow, 1 for a sharp one.
    """

    towards: NDArray[np.float64]
    colour: NDArray[np.float64]
    strength: float
    ambient: float
    hardness: float


def draw_lamp(rng: np.random.Generator, *, is_strong: bool) -> Lamp:
    """Return a random lamp; a strong one is hard, from the side, coloured, dark or too bright."""
    towards = _direction(rng.uniform(-45, 45), rng.uniform(-10, 50))
    colour = 1 + rng.normal(0, 0.04, 3)
    lamp = Lamp(towards, colour, float(rng.uniform(0.4, 0.65)), float(rng.uniform(0.5, 0.65)), 0.0)
    if not is_strong:
        return lamp
    kind = rng.integers(5)
    side = _direction(rng.choice((-1, 1)) * rng.uniform(55, 105), rng.uniform(-30, 50))
    if kind == 0:
        return Lamp(side, colour, float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.08, 0.25)), 1.0)
    if kind == 1:
        return Lamp(towards, colour, float(rng.uniform(0.12, 0.25)), 0.17, 0.3)
    if kind == 2:
        return Lamp(towards, colour, float(rng.uniform(1.2, 1.8)), 0.6, 0.4)
    if kind == 3:
        tint = rng.uniform(0.25, 1.5, 3)
        return Lamp(side, tint, float(rng.uniform(0.6, 1.0)), 0.3, 0.4)
    above = _direction(rng.uniform(-30, 30), rng.uniform(60, 85) * rng.choice((1, 1, -1)))
    return Lamp(above, colour, float(rng.uniform(0.9, 1.2)), float(rng.uniform(0.15, 0.3)), 0.8)


def light_on(mesh: Mesh, rotation: NDArray[np.float64], lamp: Lamp) -> NDArray[np.float64]:
    """Return what the light does to each vertex.

    Args:
        mesh: What is lit.
        rotation: ``(3, 3)`` from the head to the camera.
        lamp: In the camera's frame.

    Returns:
        ``(V, 4)``: three factors of the colour, BGR, and an addend for what is mirrored.
    """
    normals = mesh.normals @ rotation.T
    cosine = normals @ lamp.towards
    soft = np.clip((cosine + 0.2) / 1.2, 0, 1)
    hard = np.clip(cosine / 0.25, 0, 1) * (0.55 + 0.45 * np.clip(cosine, 0, 1))
    lit = soft + lamp.hardness * (hard - soft)
    shadow = _shadow(mesh.vertices @ rotation.T, lamp.towards, cosine)
    lit = lit * (1 - (0.35 + 0.6 * lamp.hardness) * shadow)
    sky = 0.85 - 0.15 * normals[:, 1] + 0.1 * np.clip(normals[:, 2], 0, 1)
    amount = lamp.ambient * sky[:, None] + lamp.strength * lit[:, None] * lamp.colour
    halfway = lamp.towards + _VIEW
    halfway = halfway / max(float(np.linalg.norm(halfway)), 1e-6)
    mirrored = np.clip(normals @ halfway, 0, 1) ** _GLOSS * mesh.shine * (1 - shadow)
    return np.concatenate([amount, 160 * lamp.strength * mirrored[:, None]], axis=1)


def _shadow(
    seen: NDArray[np.float64], towards: NDArray[np.float64], cosine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return ``(V,)`` 0 to 1, how much of the lamp is hidden by what stands nearer to it."""
    side = np.cross(towards, (0.0, 1.0, 0.2))
    side /= max(float(np.linalg.norm(side)), 1e-6)
    across = seen @ np.stack([side, np.cross(towards, side)], axis=1)
    cell = np.clip(across / _CELL + _CELLS / 2, 0, _CELLS - 1).astype(np.int64)
    height = seen @ towards
    highest = np.full((_CELLS, _CELLS), -10.0)
    np.maximum.at(highest, (cell[:, 1], cell[:, 0]), height)
    # A surface that the light grazes rises within its own cell.
    slope = np.sqrt(np.clip(1 - cosine**2, 0, 1)) / np.clip(cosine, 0.12, 1)
    bias = _BIAS + 1.3 * _CELL * slope
    hidden = (highest[cell[:, 1], cell[:, 0]] > height + bias).astype(np.float32)
    amounts = np.zeros((2, _CELLS, _CELLS), np.float32)
    np.add.at(amounts[0], (cell[:, 1], cell[:, 0]), hidden)
    np.add.at(amounts[1], (cell[:, 1], cell[:, 0]), 1)
    amount, count = (cv2.GaussianBlur(each, (0, 0), 0.8) for each in amounts)
    share = (amount / np.maximum(count, 1e-6))[cell[:, 1], cell[:, 0]]
    return np.asarray((hidden + share) / 2, np.float64)


def _direction(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Return the direction of a lamp, degrees to the right and upwards of the camera."""
    a, e = np.radians([azimuth, elevation])
    return np.array([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)])
