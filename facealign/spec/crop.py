"""How a family cuts its input out of a frame; pure data that travels in the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CropSpec", "SquareRule"]


@dataclass(frozen=True, slots=True)
class SquareRule:
    """From a box to the square that becomes the crop: ``side = side_factor * max(width, height)``.

    `centre` is ``"exact"`` for the middle of the box, or ``"integer"`` for whole pixels: the box is
    rounded by ``int(v + 0.5)`` first, and the middle of an odd extent moves up.
    """

    side_factor: float
    centre: Literal["exact", "integer"]


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The whole crop rule of a family.

    A frame position X lands on crop pixel ``size_px / side * (X - centre) + size_px / 2``, and back
    by ``X = centre + side * (x - 0.5)`` for a landmark x given as a fraction of the crop.

    Attributes:
        size_px: Side of the crop.
        from_box: Rule for a detector's box.
        from_landmarks: Rule for the bounding box of known landmarks, the protocol of published
            figures.
        interpolation: How pixels are read. ``"bilinear"``: the pixel with index i is at position i,
            as OpenCV has it. ``"nearest"``: pixel i covers i to i + 1, as PIL has it, and crop
            pixel j takes the frame's pixel under its own middle, j + 0.5.
        border_value: Grey level outside the frame, 0 to 255.
    """

    size_px: int
    from_box: SquareRule
    from_landmarks: SquareRule
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    border_value: int = 0
