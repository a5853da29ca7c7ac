"""The 98 landmarks of WFLW on the surface of a head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from facealign.spec import WFLW98
from facealign.synth.expression import Expression
from facealign.synth.person import Shape
from facealign.synth.surface import CHIN_LEVEL, HeadSurface

__all__ = ["CONTOUR_COUNT", "features_in_front", "landmark_points"]

CONTOUR_COUNT = 33
_EAR_ANGLE = np.radians(84)
_JAW_ANGLE = np.radians(74)  # of the corner of the jaw
_EAR_LEVEL = 0.02
_OUTLINE = 200  # places from which the evenly spaced ones are taken
_SLIDES = 48
_EVEN_OUT = 2  # neighbours on either side; an edge may jump from the cheek to the jaw
_INNERMOST = 0.42  # of the angle at rest: further in are the eyes, the nose and the lips

Project = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def landmark_points(
    surface: HeadSurface, features: NDArray[np.float64], project: Project
) -> NDArray[np.float64]:
    """Return the landmarks on the head, as an annotator would see them.

    Those within the face are fixed to it, hidden or not. Those of the contour stand for an outline:
    where the head turns away, they slide along it to the visible edge, as in WFLW.

    Args:
        surface: The head.
        features: ``(65, 2)`` of `features_in_front`.
        project: From ``(..., 3)`` positions on the head to ``(..., 2)`` pixels.

    Returns:
        ``(98, 3)`` in the frame of `Shape`, in the order of WFLW.
    """
    return np.concatenate([_contour(surface, project), surface.points_in_front(features)])


def features_in_front(shape: Shape, expression: Expression) -> NDArray[np.float64]:
    """Return ``(65, 2)`` x and y of landmarks 33 to 97, brows to pupils, seen from the front."""
    right = [_eye(shape, expression, side) for side in (0, 1)]
    xy = np.zeros((WFLW98.landmark_count, 2))
    xy[33:42] = _brow(shape, expression)
    xy[42:51] = _mirrored(xy, range(42, 51))
    xy[51:60] = _nose(shape)
    xy[60:68] = right[0]
    xy[[WFLW98.mirror[i] for i in range(60, 68)]] = right[1] * (-1, 1)
    xy[76:96] = _mouth(shape, expression)
    xy[96], xy[97] = (_pupil(xy[first : first + 8], expression) for first in (60, 68))
    return xy[CONTOUR_COUNT:]


def _contour(surface: HeadSurface, project: Project) -> NDArray[np.float64]:
    angle, level = _outline(surface)
    shares = np.linspace(1, _INNERMOST, _SLIDES)
    levels = np.broadcast_to(level, (_SLIDES, CONTOUR_COUNT))
    candidates = surface.points(angle * shares[:, None], levels)
    # Outwards, seen in the picture: away from the middle of the head at the same height.
    across = project(np.array([[-1.0, 0.4, 0.0], [1.0, 0.4, 0.0]]))
    axis = _unit(across[1] - across[0])
    outwards = (project(candidates) @ axis) * np.sign(angle)
    share = np.pad(shares[np.argmax(outwards, axis=0)], _EVEN_OUT, mode="edge")
    share = np.convolve(share, np.full(2 * _EVEN_OUT + 1, 1 / (2 * _EVEN_OUT + 1)), mode="valid")
    return surface.points(angle * share, level)


def _outline(surface: HeadSurface) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return angle and level of the contour at rest, evenly spaced from ear to ear."""
    place = np.linspace(0, 1, _OUTLINE)
    angle = np.interp(place, [0, 0.5, 0.62, 1], [0, _JAW_ANGLE, _JAW_ANGLE + 0.1, _EAR_ANGLE])
    level = np.interp(place, [0, 0.45, 0.55, 1], [CHIN_LEVEL, CHIN_LEVEL, 1.56, _EAR_LEVEL])
    points = surface.points(angle, level)[:, :2]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    even = np.linspace(0, length[-1], CONTOUR_COUNT // 2 + 1)
    angles, levels = (np.interp(even, length, values) for values in (angle, level))
    return np.concatenate([-angles[:0:-1], angles]), np.concatenate([levels[:0:-1], levels])


def _brow(shape: Shape, expression: Expression) -> NDArray[np.float64]:
    outer, inner = -(shape.eye_x + 0.36), -(shape.eye_x - 0.31)
    place = np.linspace(0, 1, 5)
    x = outer + (inner - outer) * place
    arch = shape.brow_arch * np.sin(np.pi * place**0.8) * (1 - 0.35 * place)
    y = shape.brow_y + 0.07 * (1 - place) ** 2 - arch
    y = y - 0.13 * expression.brow_raise * (
        0.8 + 0.2 * place if expression.brow_raise > 0 else place
    )
    thick = shape.brow_thickness * np.array([0.0, 0.75, 1.0, 1.1, 1.05])
    upper = np.stack([x, y - thick / 2], axis=1)
    lower = np.stack([x, y + thick / 2], axis=1)
    return np.concatenate([upper, lower[:0:-1]])


def _eye(shape: Shape, expression: Expression, side: int) -> NDArray[np.float64]:
    """Return ``(8, 2)`` of the eye on the left of the picture, its outer corner first."""
    opened = expression.eyes_open[side] * shape.eye_height
    place = np.linspace(-1, 1, 5)
    lid = 1 - np.abs(place) ** 2.2
    x = -shape.eye_x + shape.eye_half_width * place
    line = shape.eye_tilt * place + 0.035 * lid * (1 - min(expression.eyes_open[side], 1.0))
    upper = line - 0.092 * opened * lid
    lower = line + 0.055 * opened * lid - 0.02 * max(expression.smile, 0) * lid * min(opened, 1)
    corners = np.stack([x, upper], axis=1)
    return np.concatenate([corners, np.stack([x, lower], axis=1)[3:0:-1]])


def _nose(shape: Shape) -> NDArray[np.float64]:
    low, wide = shape.nose_length, shape.nose_width
    ridge = [[0, y] for y in np.linspace(0.02, 0.62 + low, 4)]
    half = [[-0.235 * wide, 0.73 + low], [-0.12 * wide, 0.795 + low]]
    base = [*half, [0, 0.825 + low], [-half[1][0], half[1][1]], [-half[0][0], half[0][1]]]
    return np.array([*ridge, *base])


def _mouth(shape: Shape, expression: Expression) -> NDArray[np.float64]:
    smile, drop = expression.smile, expression.jaw_drop
    half = shape.mouth_half_width * (1 + 0.24 * max(smile, 0) - 0.22 * expression.mouth_open)
    thick = shape.lip_thickness * (1 - 0.2 * max(smile, 0))
    corner_y = shape.mouth_y + 0.35 * drop - 0.10 * smile
    top, bottom = shape.mouth_y, shape.mouth_y + drop
    seven = np.array([-1, -0.66, -0.27, 0, 0.27, 0.66, 1])
    five = np.array([-1, -0.5, 0, 0.5, 1])
    bow = np.array([0, -0.065, -0.115, -0.098, -0.115, -0.065, 0]) * thick
    outer_top = _sag(corner_y, top, seven) + bow
    outer_bottom = _sag(corner_y, bottom, seven) + 0.145 * thick * (1 - np.abs(seven) ** 2.4)
    inner_x = five * 0.86
    inner_top = _sag(corner_y, top, inner_x) - 0.012 * (1 - five**2)
    inner_bottom = _sag(corner_y, bottom, inner_x) + 0.012 * (1 - five**2)
    outer = np.stack([seven, outer_top], 1), np.stack([seven, outer_bottom], 1)[5:0:-1]
    inner = np.stack([inner_x, inner_top], 1), np.stack([inner_x, inner_bottom], 1)[3:0:-1]
    return np.concatenate([*outer, *inner]) * (half, 1)


def _sag(corner: float, middle: float, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return heights of a lip from corner to corner, round in the middle."""
    return corner + (middle - corner) * np.sqrt(np.clip(1 - place**2, 0, None))


def _pupil(eye: NDArray[np.float64], expression: Expression) -> NDArray[np.float64]:
    centre = eye.mean(axis=0)
    half_width = np.ptp(eye[:, 0]) / 2
    half_height = np.ptp(eye[[2, 6], 1]) / 2
    x, y = expression.gaze
    return np.asarray(centre + 0.4 * np.array([half_width * x, half_height * y]), np.float64)


def _mirrored(xy: NDArray[np.float64], indices: range) -> NDArray[np.float64]:
    return xy[[WFLW98.mirror[i] for i in indices]] * (-1, 1)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float64)
