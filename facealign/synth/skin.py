"""The skin of a face: its colour and everything painted on it, in the atlas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import MAX_ANGLE, SKIN_SHAPE
from facealign.synth.person import Colours, Shape
from facealign.synth.surface import CHIN_LEVEL, CROWN_LEVEL, NECK_LEVEL, HeadSurface

__all__ = ["Makeup", "draw_makeup", "skin_texture"]

_COARSE = (100, 80)  # rows and columns on which smooth changes of colour are computed
_GREY = 128  # of grain, which goes both ways


@dataclass(frozen=True, slots=True)
class Makeup:
    """Colours as BGR, and how strongly lips, lids and cheeks are painted, 0 to 1."""

    lips: NDArray[np.float64]
    lids: NDArray[np.float64]
    lip_strength: float = 0.0
    lid_strength: float = 0.0
    blush: float = 0.0


_LIPS = np.array([[40, 25, 190], [110, 50, 200], [60, 20, 110], [150, 90, 225]])
_LIDS = np.array([[60, 40, 40], [150, 80, 60], [120, 60, 130], [50, 70, 110], [90, 130, 80]])


def draw_makeup(rng: np.random.Generator, *, is_strong: bool) -> Makeup:
    """Return random make-up, or none."""
    lips = _LIPS[rng.integers(len(_LIPS))] * rng.uniform(0.8, 1.15)
    lids = _LIDS[rng.integers(len(_LIDS))] * rng.uniform(0.7, 1.2)
    if not is_strong:
        return Makeup(lips, lids)
    strength = rng.uniform((0.65, 0.45, 0.2), (0.95, 0.9, 0.9))
    return Makeup(lips, lids, *strength.tolist())


def skin_texture(
    surface: HeadSurface,
    shape: Shape,
    colours: Colours,
    makeup: Makeup,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return ``(800, 640, 3)`` uint8 BGR of plain skin: no brows, eyes or lips yet."""
    x, y = _seen_from_front(surface)
    factor = np.ones((*_COARSE, 3))
    factor += rng.normal(0, 0.015, (*_COARSE, 1)) + rng.normal(0, 0.008, (*_COARSE, 3))
    side = np.abs(x)
    _tint(factor, _spot(side - 0.6, y - 0.5, 0.28, 0.25), (-0.10, -0.08, 0.03))
    _tint(factor, _spot(x, y - 0.62 - shape.nose_length, 0.2, 0.16), (-0.10, -0.08, 0.02))
    _tint(factor, _spot(side - shape.eye_x, y - 0.16, 0.26, 0.08), (-0.05, -0.08, -0.10))
    _tint(factor, _spot(side - shape.eye_x, y + 0.08, 0.26, 0.10), (-0.10, -0.11, -0.10))
    _tint(factor, _spot(side - 0.42, y - 0.87, 0.06, 0.20), (-0.09, -0.10, -0.09))
    colour = factor * colours.skin
    _cover(colour, colours.hair * 0.7, _beard(x, y, shape, surface) * colours.beard * 0.8)
    blush = _spot(side - 0.62, y - 0.45, 0.22, 0.16) * makeup.blush * 0.5
    _cover(colour, np.array([110.0, 90, 215]), blush)
    shadow = _spot(side - shape.eye_x, y + 0.10, 0.25, 0.09) * makeup.lid_strength * 0.8
    _cover(colour, makeup.lids, shadow)
    return _with_grain(colour, colours, rng)


def _seen_from_front(surface: HeadSurface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    angle = np.linspace(-MAX_ANGLE, MAX_ANGLE, _COARSE[1])
    level = np.linspace(CROWN_LEVEL, NECK_LEVEL, _COARSE[0])
    points = surface.points(*np.meshgrid(angle, level))
    return points[..., 0], points[..., 1]


def _spot(
    x: NDArray[np.float64], y: NDArray[np.float64], width: float, height: float
) -> NDArray[np.float64]:
    return np.exp(-((x / width) ** 2) - (y / height) ** 2)


def _tint(
    factor: NDArray[np.float64], mask: NDArray[np.float64], bgr: tuple[float, float, float]
) -> None:
    factor += mask[..., None] * bgr


def _cover(
    colour: NDArray[np.float64], other: NDArray[np.float64], mask: NDArray[np.float64]
) -> None:
    colour += mask[..., None] * (other - colour)


def _beard(
    x: NDArray[np.float64], y: NDArray[np.float64], shape: Shape, surface: HeadSurface
) -> NDArray[np.float64]:
    """Return 0 to 1: chin, jaw and upper lip, with the mouth left free; none on the neck."""
    chin = float(surface.points(np.zeros(1), np.full(1, CHIN_LEVEL))[0, 1])
    cheek_line = 0.95 - 0.45 * np.clip(np.abs(x) - 0.3, 0, 1)
    jaw = np.clip((y - cheek_line) / 0.15, 0, 1) * np.clip((chin + 0.02 - y) / 0.08, 0, 1)
    mouth = _spot(x, y - (shape.mouth_y + 0.03), shape.mouth_half_width, 0.13)
    moustache = _spot(x, y - (shape.mouth_y - 0.15), 0.36, 0.06)
    return np.clip(np.maximum(jaw * (1 - np.clip(1.4 * mouth, 0, 1)), moustache), 0, 1)


def _with_grain(
    colour: NDArray[np.float64], colours: Colours, rng: np.random.Generator
) -> NDArray[np.uint8]:
    rows, columns = SKIN_SHAPE
    low = np.clip(colour, 0, 255).astype(np.uint8)
    smooth = cv2.resize(low, (columns, rows), interpolation=cv2.INTER_CUBIC)
    raw = np.frombuffer(rng.bytes(rows * columns), np.uint8).reshape(rows, columns)
    grain = cv2.GaussianBlur(raw, (3, 3), 0).astype(np.float32) / 127.5 - 1
    amount = 6 + 26 * colours.beard * np.linspace(-2, 2, rows)[:, None].clip(0, 1)
    grey = (_GREY + grain * amount.astype(np.float32)).astype(np.uint8)
    skin = np.asarray(cv2.addWeighted(smooth, 1, cv2.merge([grey] * 3), 1, -_GREY), np.uint8)
    for _ in range(int(160 * colours.freckles)):
        column, row = rng.normal((columns / 2, rows * 0.46), (columns / 8, rows / 22))
        shade = tuple((colours.skin * (0.72, 0.78, 0.86)).tolist())
        cv2.circle(skin, (int(column), int(row)), int(rng.integers(1, 3)), shade, -1, cv2.LINE_AA)
    return skin
