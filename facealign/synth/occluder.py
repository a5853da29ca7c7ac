"""What hides part of a face and is held in front of it, painted on the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.synth.chart import paint
from facealign.synth.person import Colours

__all__ = ["OCCLUDERS", "paint_bar", "paint_hand", "paint_strands"]

_SHIFT = 4
_LIT = 1.06


def paint_hand(
    picture: NDArray[np.uint8],
    box: NDArray[np.float64],
    colours: Colours,
    rng: np.random.Generator,
) -> None:
    """Paint a hand that comes in from below or the side, over part of the box, in place.

    Args:
        picture: ``(H, W, 3)`` uint8 BGR.
        box: ``(4,)`` of the face, x0, y0, x1, y1.
        colours: Of the person.
        rng: Draws place, direction and spread.
    """
    side = float(np.max(box[2:] - box[:2]))
    target = box[:2] + (box[2:] - box[:2]) * rng.uniform((0.15, 0.45), (0.85, 0.95))
    direction = np.radians(rng.uniform(30, 150))  # where the arm is: below, to either side
    arm = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([-arm[1], arm[0]])
    width = 0.085 * side
    palm = target + arm * 0.28 * side
    shade = colours.skin * rng.uniform(0.72, 0.95)
    for finger in range(4):
        root = palm + across * (finger - 1.5) * width * 1.05
        lean = across * (finger - 1.5) * rng.uniform(0.01, 0.04) * side
        tip = root - arm * side * (0.33 - 0.035 * abs(finger - 1.6)) + lean
        _capsule(picture, np.stack([root, tip]), width / 2, shade * (0.94 + 0.03 * finger))
    _capsule(picture, np.stack([palm, palm + arm * 0.12 * side]), 2.05 * width, shade)
    thumb = palm + across * 1.6 * width
    _capsule(
        picture, np.stack([thumb, thumb + across * width - arm * width * 1.6]), width / 2, shade
    )
    _capsule(
        picture, np.stack([palm + arm * 0.2 * side, palm + arm * 2 * side]), 1.6 * width, shade
    )


def paint_bar(
    picture: NDArray[np.uint8],
    box: NDArray[np.float64],
    colours: Colours,
    rng: np.random.Generator,
) -> None:
    """Paint a bar, a board or a ball of one colour over part of the box, in place."""
    del colours  # things have a colour of their own
    side = float(np.max(box[2:] - box[:2]))
    middle = box[:2] + (box[2:] - box[:2]) * rng.uniform(0.15, 0.9, 2)
    colour = rng.uniform(10, 240, 3)
    if rng.random() < 1 / 3:
        angle = np.linspace(0, 2 * np.pi, 40)
        polygon = middle + side * rng.uniform(0.12, 0.3) * np.stack(
            [np.cos(angle), np.sin(angle)], 1
        )
    else:
        turn = float(rng.uniform(0, np.pi))
        along = np.array([np.cos(turn), np.sin(turn)])
        half = np.stack(
            [along * 2 * side, np.array([-along[1], along[0]]) * side * rng.uniform(0.04, 0.16)]
        )
        if rng.random() < 1 / 2:
            half[0] *= 0.12
        polygon = middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) @ half
    paint(picture, polygon, colour * 0.6)
    paint(picture, middle + (polygon - middle) * 0.93 - side * 0.006, colour, blur_px=side * 0.01)


def paint_strands(
    picture: NDArray[np.uint8],
    box: NDArray[np.float64],
    colours: Colours,
    rng: np.random.Generator,
) -> None:
    """Paint a lock of hair that falls over the face, in place."""
    extent = box[2:] - box[:2]
    root = box[:2] + extent * (rng.uniform(0.1, 0.9), -0.25)
    tip = box[:2] + extent * rng.uniform((0.0, 0.35), (1.0, 0.85))
    bend = rng.normal(0, 0.12, 2) * extent
    t = np.linspace(0, 1, 20)[:, None]
    spread = float(extent.max()) * rng.uniform(0.06, 0.14)
    for _ in range(int(rng.integers(70, 130))):
        offset = rng.normal(0, spread, 2) * (1, 0.4)
        wobble = rng.normal(0, 0.25, 2) * spread
        line = (
            root + offset + t * (tip - root) + 4 * t * (1 - t) * (bend + wobble) - t * offset * 0.4
        )
        shade = tuple(np.clip(colours.hair * rng.uniform(0.5, 1.35), 0, 255).tolist())
        fixed = np.rint(line * 2**_SHIFT).astype(np.int32)
        cv2.polylines(picture, [fixed], False, shade, 1, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - OpenCV's names differ between versions


def _capsule(
    picture: NDArray[np.uint8],
    ends: NDArray[np.float64],
    radius: float,
    colour: NDArray[np.float64],
) -> None:
    """Paint a round stroke, darker at its rim."""
    along = ends[1] - ends[0]
    start = np.arctan2(along[1], along[0])
    angle = np.linspace(-np.pi / 2, np.pi / 2, 12)
    arc = np.concatenate([start + angle, start + np.pi + angle])
    centres = np.repeat(ends[::-1], 12, axis=0)
    rim = np.stack([np.cos(arc), np.sin(arc)], axis=1)
    paint(picture, centres + radius * rim, colour * 0.62)
    light = np.clip(colour * _LIT, 0, 255)
    paint(picture, centres + 0.75 * radius * rim, light, blur_px=max(0.6, 0.2 * radius))


OCCLUDERS = (paint_hand, paint_bar, paint_strands)
