"""Brows, eyes, nostrils and lips, painted exactly where their landmarks are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import curve, paint, uv_from_skin
from facealign.synth.expression import Expression
from facealign.synth.landmark_model import CONTOUR_COUNT
from facealign.synth.person import Colours, Shape
from facealign.synth.skin import Makeup
from facealign.synth.surface import HeadSurface

__all__ = ["Canvas", "paint_features"]

_WHITE = np.array([215.0, 222, 228])
_MOUTH = np.array([28.0, 22, 58])
_TEETH = np.array([205.0, 222, 228])
_TONGUE = np.array([80.0, 75, 165])
_LINE = np.array([18.0, 20, 28])
_GLINT = np.array([250.0, 250, 250])
_IRIS_RADIUS = 0.085  # 6 mm: an iris is some 12 mm wide in everyone
_RIM_RADIUS = 0.105  # of the iris, darker
_PUPIL_RADIUS = 0.042
_SHIFT = 4
_OPEN = 0.03  # of a unit, above which an eye or a mouth shows what is inside


@dataclass(frozen=True, slots=True)
class Canvas:
    """The skin of one head to paint on, in places seen from the front."""

    texture: NDArray[np.uint8]
    surface: HeadSurface

    def texels(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``(K, 2)`` columns and rows of ``(K, 2)`` x and y."""
        place = self.surface.coordinates(xy)
        return uv_from_skin(place[:, 0], place[:, 1])

    def line(self, xy: NDArray[np.float64], colour: NDArray[np.float64], width: int) -> None:
        """Draw a line through ``(K, 2)`` x and y, some texels wide."""
        fixed = np.rint(self.texels(xy) * 2**_SHIFT).astype(np.int32)
        shade = tuple(colour.tolist())
        cv2.polylines(self.texture, [fixed], False, shade, width, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - OpenCV's names differ between versions


def paint_features(
    canvas: Canvas,
    features: NDArray[np.float64],
    *,
    person: tuple[Shape, Colours, Makeup],
    expression: Expression,
    rng: np.random.Generator,
) -> None:
    """Paint what has landmarks, in place.

    Args:
        canvas: Plain skin.
        features: ``(65, 2)`` x and y of landmarks 33 to 97.
        person: Measures, colours and make-up.
        expression: Its `smile` tells how deep the folds beside the mouth are.
        rng: For single hairs.
    """
    shape, colours, makeup = person
    xy = np.concatenate([np.zeros((CONTOUR_COUNT, 2)), features])
    for first in (33, 42):
        _paint_brow(canvas, xy[first : first + 9], colours, rng, is_first=first == 33)
    for first, pupil in ((60, 96), (68, 97)):
        _paint_eye(canvas, xy[first : first + 8], xy[pupil], colours, makeup)
    _paint_nostrils(canvas, xy[55:60], colours)
    _paint_mouth(canvas, xy[76:96], colours, makeup)
    _paint_lines(canvas, shape, colours, expression)


def _paint_brow(
    canvas: Canvas,
    brow: NDArray[np.float64],
    colours: Colours,
    rng: np.random.Generator,
    *,
    is_first: bool,
) -> None:
    """Paint a soft patch and hairs over it; the inner end of the first brow is on the right."""
    order = np.arange(9) if is_first else np.array([4, 3, 2, 1, 0, 8, 7, 6, 5])
    upper, lower = brow[order[:5]], brow[np.concatenate([order[:1], order[:4:-1]])]
    top, bottom = curve(upper), curve(lower)
    patch = canvas.texels(np.concatenate([top, bottom[::-1]]))
    paint(canvas.texture, patch, colours.brow, opacity=0.72, blur_px=1.5)
    place = rng.uniform(0, len(top) - 1, 46)
    low = place.astype(int)
    share = rng.uniform(0.0, 1.0, (46, 1))
    start = bottom[low] + share * (top[low] - bottom[low])
    outwards = -1 if is_first else 1
    tip = start + np.array([0.05 * outwards, -0.03]) * rng.uniform(0.4, 1, (46, 1))
    ends = canvas.texels(np.concatenate([start, tip])).reshape(2, 46, 2).transpose(1, 0, 2)
    fixed = np.ascontiguousarray(np.rint(ends * 2**_SHIFT), np.int32)
    shade = tuple((colours.brow * 0.75).tolist())
    cv2.polylines(canvas.texture, list(fixed), False, shade, 1, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - as above


def _paint_eye(
    canvas: Canvas,
    eye: NDArray[np.float64],
    pupil: NDArray[np.float64],
    colours: Colours,
    makeup: Makeup,
) -> None:
    upper, lower = curve(eye[:5]), curve(np.concatenate([eye[4:], eye[:1]]))
    height = eye[6, 1] - eye[2, 1]
    if height > _OPEN:
        rim = canvas.texels(np.concatenate([upper, lower[1:-1]]))
        paint(canvas.texture, rim, _WHITE * 0.93)
        dark = canvas.texels(_circle(pupil, _RIM_RADIUS))
        paint(canvas.texture, dark, colours.iris * 0.45, clip=rim)
        for radius, shade in ((_IRIS_RADIUS, colours.iris), (_PUPIL_RADIUS, _LINE * 0.6)):
            paint(canvas.texture, canvas.texels(_circle(pupil, radius)), shade, clip=rim)
        glint = canvas.texels(_circle(_moved(pupil, 0.03, -0.03), 0.018))
        paint(canvas.texture, glint, _GLINT, clip=rim)
        band = canvas.texels(np.concatenate([upper, _moved(upper[::-1], 0, 0.05)]))
        paint(canvas.texture, band, _LINE, opacity=0.4, blur_px=2, clip=rim)
    lash = _LINE if makeup.lid_strength > 0 else 0.5 * _LINE + 0.25 * colours.skin * 0.7
    canvas.line(upper, lash, 5 if makeup.lid_strength > 0 else 3)
    canvas.line(lower, 0.5 * colours.skin if makeup.lid_strength == 0 else _LINE, 2)
    crease = _moved(upper, 0, -0.045 - 0.1 * max(0.0, height - 0.1))
    canvas.line(crease[2:-2], colours.skin * 0.62, 2)


def _paint_nostrils(canvas: Canvas, base: NDArray[np.float64], colours: Colours) -> None:
    for inner in (base[1], base[3]):
        hole = _moved(inner, 0, -0.03) + (_circle(np.zeros(2), 0.048) * (1, 0.55))
        paint(canvas.texture, canvas.texels(hole), colours.skin * 0.2, opacity=0.9, blur_px=1.2)
    canvas.line(curve(base), colours.skin * (0.55, 0.55, 0.6), 2)


def _paint_mouth(
    canvas: Canvas, mouth: NDArray[np.float64], colours: Colours, makeup: Makeup
) -> None:
    colour = colours.lips + makeup.lip_strength * (makeup.lips - colours.lips)
    top, bottom = curve(mouth[:7]), curve(np.concatenate([mouth[6:12], mouth[:1]]))
    inner_top, inner_bottom = (
        curve(mouth[12:17]),
        curve(np.concatenate([mouth[16:20], mouth[12:13]])),
    )
    soft = 1.4 - 0.8 * makeup.lip_strength
    for outer, inner, shade in ((top, inner_top, 0.88), (bottom, inner_bottom, 1.0)):
        lip = canvas.texels(np.concatenate([outer, inner[::-1]]))
        paint(canvas.texture, lip, colour * shade, opacity=0.92, blur_px=soft)
    hole = canvas.texels(np.concatenate([inner_top, inner_bottom[1:-1]]))
    gap = mouth[18, 1] - mouth[14, 1]
    paint(canvas.texture, hole, _MOUTH if gap > _OPEN else colour * 0.45)
    if gap > 2 * _OPEN:
        teeth = np.concatenate([inner_top, _moved(inner_top[::-1], 0, min(0.11, 0.45 * gap))])
        paint(canvas.texture, canvas.texels(teeth), _TEETH * 0.9, clip=hole, blur_px=0.8)
        tongue = np.concatenate([inner_bottom, _moved(inner_bottom[::-1], 0, -0.3 * gap)])
        paint(canvas.texture, canvas.texels(tongue), _TONGUE, clip=hole, blur_px=3, opacity=0.8)
    canvas.line(inner_top, colour * 0.55, 2)


def _paint_lines(canvas: Canvas, shape: Shape, colours: Colours, expression: Expression) -> None:
    """Paint the folds from the nose to the corners of the mouth, deeper with a smile."""
    depth = 0.16 + 0.3 * max(expression.smile, 0)
    for side in (-1, 1):
        ends = np.array(
            [[0.28, 0.70 + shape.nose_length], [0.45, 0.9], [0.5, shape.mouth_y + 0.02]]
        )
        fold = curve(ends * (side, 1))
        band = np.concatenate([fold, _moved(fold[::-1], 0.035 * side, 0)])
        paint(canvas.texture, canvas.texels(band), colours.skin * 0.5, opacity=depth, blur_px=3)


def _moved(xy: NDArray[np.float64], right: float, down: float) -> NDArray[np.float64]:
    return np.asarray(xy + np.array([right, down]), np.float64)


def _circle(centre: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
