"""The skin of the head and neck as a smooth function of two coordinates.

The head is a stack of rounded sections, set by hand after common proportions of the face (eyes at
half its height, five eye widths across, nose and mouth in the lower half), with soft bumps for what
stands out. Nothing in it was measured on a data set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.synth.expression import Expression
from facealign.synth.person import Shape

__all__ = ["CHIN_LEVEL", "CROWN_LEVEL", "NECK_LEVEL", "HeadSurface", "build_surface"]

CROWN_LEVEL = -1.62
CHIN_LEVEL = 1.66
NECK_LEVEL = 2.9
_FLAT_FRONT = 0.22  # how much flatter than an ellipse a face is seen from above
_ROWS = 400
_INVERSIONS = 6  # fixed point; measured residual 5e-8 over 60 heads with wide open mouths

# level, y in front, half width, z in front, z behind, z of the widest place, rise towards the back.
# At and above the chin a level is its own y; below it, levels go back under the chin to the neck.
_SECTIONS = np.array(
    [
        [-1.62, -1.62, 0.02, -0.08, -0.12, -0.10, 0.00],
        [-1.55, -1.55, 0.38, 0.38, -0.58, -0.10, 0.00],
        [-1.35, -1.35, 0.70, 0.78, -0.98, -0.10, 0.00],
        [-1.00, -1.00, 0.93, 1.08, -1.28, -0.08, 0.00],
        [-0.60, -0.60, 1.01, 1.21, -1.38, -0.05, 0.00],
        [-0.25, -0.25, 1.02, 1.24, -1.36, -0.02, 0.00],
        [0.00, 0.00, 1.00, 1.19, -1.30, 0.00, 0.00],
        [0.30, 0.30, 0.98, 1.18, -1.20, 0.02, 0.02],
        [0.60, 0.60, 0.94, 1.19, -1.05, 0.05, 0.07],
        [0.90, 0.90, 0.88, 1.20, -0.95, 0.08, 0.19],
        [1.15, 1.15, 0.83, 1.19, -0.85, 0.10, 0.34],
        [1.40, 1.40, 0.77, 1.15, -0.75, 0.10, 0.53],
        [1.56, 1.56, 0.72, 1.10, -0.70, 0.10, 0.66],
        [1.66, 1.66, 0.67, 1.00, -0.66, 0.08, 0.70],
        [1.76, 1.69, 0.60, 0.82, -0.64, 0.02, 0.64],
        [1.95, 1.68, 0.55, 0.52, -0.66, -0.08, 0.36],
        [2.15, 1.80, 0.55, 0.38, -0.72, -0.16, 0.12],
        [2.50, 2.20, 0.58, 0.36, -0.78, -0.20, 0.00],
        [2.90, 2.75, 0.70, 0.36, -0.85, -0.24, 0.00],
    ]
)


@dataclass(frozen=True, slots=True)
class HeadSurface:
    """The surface of one head, in the frame of `Shape`.

    Attributes:
        table: ``(400, 7)`` levels from the crown to the neck, columns as in the sections above.
        bumps: ``(K, 5)`` x, y, width, height and amount of what stands out in front.
    """

    table: NDArray[np.float64]
    bumps: NDArray[np.float64]

    def points(self, angle: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return positions on the skin.

        Args:
            angle: Any shape, radians around the vertical axis; 0 in front, positive to the right.
            level: The same shape, `CROWN_LEVEL` to `NECK_LEVEL`.

        Returns:
            That shape and 3: x, y, z.
        """
        y, half_width, front, back, middle, rise = self._columns(level)
        cosine = np.cos(angle)
        bent = cosine + _FLAT_FRONT * (cosine - cosine**3)
        x = half_width * np.sin(angle)
        y = y - rise * (1 - cosine)
        z = middle + np.where(cosine > 0, (front - middle) * bent, (middle - back) * cosine)
        z = z + np.clip(2 * cosine, 0, 1) * self._bulge(x, y)
        return np.stack([x, y, z], axis=-1)

    def coordinates(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(..., 2)`` angle and level of the skin in front at ``(..., 2)`` x and y."""
        face = self.table[self.table[:, 0] <= CHIN_LEVEL]
        angle = np.zeros(xy.shape[:-1])
        level = np.zeros(xy.shape[:-1])
        for _ in range(_INVERSIONS):
            rise = np.interp(level, self.table[:, 0], self.table[:, 6])
            level = np.interp(xy[..., 1] + rise * (1 - np.cos(angle)), face[:, 1], face[:, 0])
            half_width = np.interp(level, self.table[:, 0], self.table[:, 2])
            angle = np.arcsin(np.clip(xy[..., 0] / half_width, -0.999, 0.999))
        return np.stack([angle, level], axis=-1)

    def points_in_front(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(..., 3)`` positions on the skin in front, at ``(..., 2)`` x and y."""
        place = self.coordinates(xy)
        return self.points(place[..., 0], place[..., 1])

    def _columns(self, level: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        levels = self.table[:, 0]
        return tuple(np.interp(level, levels, self.table[:, i]) for i in range(1, 7))

    def _bulge(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros_like(x)
        for x0, y0, width, height, amount in self.bumps:
            total += amount * np.exp(-(((x - x0) / width) ** 2) - ((y - y0) / height) ** 2)
        return total


def build_surface(shape: Shape, expression: Expression) -> HeadSurface:
    """Return the surface of a head of that shape with that expression."""
    sections = _SECTIONS.copy()
    level = sections[:, 0]
    low = _soft_step(level, 0.3, 1.4)  # the jaw
    high = _soft_step(-level, 0.2, 1.3)  # the forehead and the crown
    sections[:, 1] += low * shape.chin_length - high * shape.forehead
    sections[:, 1] += _soft_step(level, 1.06, 1.42) * expression.jaw_drop
    sections[:, 2] *= shape.face_width * (1 + low * (shape.jaw_width - 1))
    sections[:, 3:5] *= shape.depth
    sections[:, 3] -= 0.12 * low * expression.jaw_drop
    return HeadSurface(_smooth(sections), _bumps(shape, expression))


def _bumps(shape: Shape, expression: Expression) -> NDArray[np.float64]:
    nose, wide = shape.nose_height, shape.nose_width
    low = shape.nose_length
    mouth, drop = shape.mouth_y, expression.jaw_drop
    lips, lift = shape.lip_thickness, 0.08 * max(expression.smile, 0)
    middle = [
        [0.0, 0.02, 0.13, 0.20, 0.06 * nose],
        [0.0, 0.30 + low / 2, 0.12, 0.24, 0.22 * nose],
        [0.0, 0.60 + low, 0.17 * wide, 0.14, 0.34 * nose],
        [0.0, 0.70 + low, 0.26 * wide, 0.12, 0.10 * nose],
        [0.0, mouth - 0.07, 0.34, 0.09, 0.075 * lips],
        [0.0, mouth + 0.09 + drop, 0.30, 0.09, 0.085 * lips],
        [0.0, mouth + 0.005 + drop / 2, 0.36, 0.025 + drop / 3, -0.05],
        [0.0, mouth + 0.26 + drop, 0.26, 0.07, -0.05],
        [0.0, 1.52 + shape.chin_length + drop, 0.24, 0.16, 0.09],
    ]
    one_side = [
        [0.205 * wide, 0.68 + low, 0.085 * wide, 0.095, 0.13 * nose],
        [shape.eye_x, -0.01, 0.29, 0.16, -0.11],
        [shape.eye_x, 0.0, 0.19, 0.10, 0.055],
        [0.42, shape.brow_y - 0.02, 0.42, 0.13, 0.05],
        [0.62, 0.45 - lift, 0.26, 0.24, shape.cheek + lift],
        [0.52, 1.0, 0.22, 0.26, -0.04],
    ]
    other_side = [[-x, *rest] for x, *rest in one_side]
    return np.array(middle + one_side + other_side)


def _soft_step(value: NDArray[np.float64], start: float, stop: float) -> NDArray[np.float64]:
    share = np.clip((value - start) / (stop - start), 0, 1)
    return share * share * (3 - 2 * share)


def _smooth(sections: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `_ROWS` rows through `sections`: cubic Hermite, with slopes by central differences."""
    knots = sections[:, 0]
    level = np.linspace(knots[0], knots[-1], _ROWS)
    slopes = np.gradient(sections, knots, axis=0)
    at = np.clip(np.searchsorted(knots, level, side="right") - 1, 0, len(knots) - 2)
    span = (knots[at + 1] - knots[at])[:, None]
    t = (level[:, None] - knots[at][:, None]) / span
    table = (
        (2 * t**3 - 3 * t**2 + 1) * sections[at]
        + (t**3 - 2 * t**2 + t) * span * slopes[at]
        + (3 * t**2 - 2 * t**3) * sections[at + 1]
        + (t**3 - t**2) * span * slopes[at + 1]
    )
    return np.asarray(table, np.float64)
