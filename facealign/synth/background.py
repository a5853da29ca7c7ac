"""What is behind a face: gradients, blotches and clutter."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import paint

__all__ = ["draw_background"]

_CLUTTERED = 0.65


def draw_background(size_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return ``(size_px, size_px, 3)`` uint8 BGR without a face."""
    tint = rng.normal(0, rng.uniform(3, 28), 3)
    corners = rng.uniform(15, 230) + tint + rng.normal(0, 30, (2, 2, 1))
    gradient = _resized(corners * np.ones(3), size_px)
    cells = int(rng.integers(3, 14))
    noise = rng.normal(0, 1, (cells, cells, 1)) + rng.normal(0, 0.4, (cells, cells, 3))
    blotches = _resized(rng.uniform(2, 35) * noise, size_px)
    picture = np.clip(gradient + blotches, 0, 255).astype(np.uint8)
    if rng.random() < _CLUTTERED:
        for _ in range(int(rng.integers(3, 16))):
            _paint_thing(picture, rng)
    out_of_focus = rng.uniform(0.002, 0.02) * size_px
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), out_of_focus), np.uint8)


def _resized(values: NDArray[np.float64], size_px: int) -> NDArray[np.float32]:
    resized = cv2.resize(
        values.astype(np.float32), (size_px, size_px), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(resized, np.float32)


def _paint_thing(picture: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Paint a random polygon of 3 to 20 corners."""
    size_px = len(picture)
    count = int(rng.choice((3, 4, 4, 5, 20)))
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, np.pi)
    extent = size_px * rng.uniform(0.04, 0.3, 2)
    turn = rng.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = (np.stack([np.cos(angle), np.sin(angle)], 1) * extent) @ rotation
    polygon = corners + rng.uniform(0, size_px, 2)
    colour = np.clip(rng.uniform(10, 245) + rng.normal(0, 30, 3), 0, 255)
    paint(picture, polygon, colour, opacity=float(rng.uniform(0.4, 1)))
