"""Who is drawn: measures of a head and colours, none of them taken from a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["AVERAGE_SHAPE", "Colours", "HairStyle", "Shape", "draw_colours", "draw_shape"]

_CLIP = 2.2  # standard deviations: beyond it, features collide
HairStyle = Literal["bald", "short", "full", "long"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Measures of a head; a length of 1 is half the width of an average face, some 70 mm.

    Positions are in the head's own frame: x to the right of the picture, y down, z to the viewer,
    the origin between the ears at the height of the eyes.
    """

    face_width: float = 1.0
    jaw_width: float = 1.0
    chin_length: float = 0.0
    depth: float = 1.0
    forehead: float = 0.0
    cheek: float = 0.05
    eye_x: float = 0.45
    eye_half_width: float = 0.212
    eye_height: float = 1.0
    eye_tilt: float = 0.02
    brow_y: float = -0.29
    brow_thickness: float = 0.085
    brow_arch: float = 0.07
    nose_length: float = 0.0
    nose_width: float = 1.0
    nose_height: float = 1.0
    mouth_y: float = 1.09
    mouth_half_width: float = 0.36
    lip_thickness: float = 1.0
    ear: float = 1.0


AVERAGE_SHAPE = Shape()

# Standard deviations: adult anthropometry gives some 5 % for widths and 10 to 15 % for a nose.
_DEVIATIONS = {
    "face_width": 0.045,
    "jaw_width": 0.06,
    "chin_length": 0.06,
    "depth": 0.045,
    "forehead": 0.05,
    "cheek": 0.025,
    "eye_x": 0.02,
    "eye_half_width": 0.012,
    "eye_height": 0.14,
    "eye_tilt": 0.03,
    "brow_y": 0.03,
    "brow_thickness": 0.02,
    "brow_arch": 0.03,
    "nose_length": 0.045,
    "nose_width": 0.12,
    "nose_height": 0.13,
    "mouth_y": 0.025,
    "mouth_half_width": 0.03,
    "lip_thickness": 0.2,
    "ear": 0.1,
}


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours as BGR, 0 to 255, and what hair there is; `beard` is 0 (none) to 1 (full)."""

    skin: NDArray[np.float64]
    lips: NDArray[np.float64]
    iris: NDArray[np.float64]
    hair: NDArray[np.float64]
    brow: NDArray[np.float64]
    cloth: NDArray[np.float64]
    hair_style: HairStyle
    beard: float
    freckles: float


_SKIN = np.array([[190, 208, 240], [150, 178, 222], [110, 148, 205], [72, 104, 160], [44, 60, 98]])
_IRIS = np.array([[30, 50, 85], [40, 75, 110], [150, 120, 80], [90, 120, 95], [20, 30, 45]])
_HAIR = np.array(
    [[18, 18, 22], [25, 35, 50], [40, 62, 95], [110, 165, 205], [45, 75, 150], [165, 165, 165]]
)
_STYLES: tuple[HairStyle, ...] = ("bald", "short", "full", "long")
_STYLE_SHARES = (0.08, 0.34, 0.28, 0.30)
_BEARDED = 0.28
_FRECKLED = 0.2


def draw_shape(rng: np.random.Generator) -> Shape:
    """Return the measures of a random head: each normal around the average, independent."""
    offsets = np.clip(rng.normal(size=len(_DEVIATIONS)), -_CLIP, _CLIP)
    values = {
        name: getattr(AVERAGE_SHAPE, name) + deviation * float(offset)
        for (name, deviation), offset in zip(_DEVIATIONS.items(), offsets, strict=True)
    }
    return Shape(**values)


def draw_colours(rng: np.random.Generator) -> Colours:
    """Return random colours that go together: brows follow the hair, lips the skin."""
    skin = _between(_SKIN, rng) * rng.normal(1, 0.03, 3)
    hair = np.clip(_HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.2), 8, 240)
    style = _STYLES[rng.choice(len(_STYLES), p=_STYLE_SHARES)]
    has_beard = style != "long" and rng.random() < _BEARDED / (1 - _STYLE_SHARES[-1])
    return Colours(
        skin=np.clip(skin, 20, 245),
        lips=np.clip(skin * (0.72, 0.60, 0.84) + (12, 2, 14) + rng.normal(0, 6, 3), 10, 235),
        iris=np.clip(_IRIS[rng.integers(len(_IRIS))] * rng.uniform(0.8, 1.3), 5, 200),
        hair=hair,
        brow=np.minimum(hair * rng.uniform(0.6, 0.9), skin * rng.uniform(0.45, 0.7)),
        cloth=rng.uniform(15, 230, 3),
        hair_style=style,
        beard=float(rng.uniform(0.25, 1)) if has_beard else 0.0,
        freckles=float(rng.uniform(0.3, 1)) if rng.random() < _FRECKLED else 0.0,
    )


def _between(colours: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    place = rng.uniform(0, len(colours) - 1)
    low = int(place)
    return np.asarray(colours[low] + (place - low) * (colours[low + 1] - colours[low]), np.float64)
