"""Where the squares lie that become crops, and the two maps between them and the frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.spec import SquareRule

__all__ = [
    "Placement",
    "boxes_from_landmarks",
    "crop_from_frame",
    "frame_from_crop",
    "placement_from_boxes",
]


@dataclass(frozen=True, slots=True)
class Placement:
    """F squares in a frame, one per crop.

    Attributes:
        centre: ``(F, 2)`` float64 ``(x, y)``, frame pixels.
        side: ``(F,)`` float64, frame pixels, above 0.
    """

    centre: NDArray[np.float64]
    side: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.side)


def placement_from_boxes(boxes: NDArray[np.float64], rule: SquareRule) -> Placement:
    """Return the square that `rule` draws around each box.

    The ``"integer"`` centre rounds a box corner v to ``int(v + 0.5)``. That is the nearest pixel,
    halves up, for v >= -0.5, and one pixel to the right of it for most v below, because Python's
    ``int`` truncates. SLPT's ``Camera.py`` does so, and the crop a network was published with is
    worth more than symmetry at the border of the frame. The middle of an odd extent moves up.

    Args:
        boxes: ``(F, 4)`` ``(x0, y0, x1, y1)``, frame pixels, finite.
        rule: Side factor and kind of centre.

    Raises:
        ShapeError: If `boxes` is not ``(F, 4)``.
        InputError: If a box is not finite, or so small or so far turned round that its square has
            no side.

    Source: SLPT ``test.py`` (exact) and ``Camera.py`` (integer).
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"`boxes` must be (F, 4), got {boxes.shape}; each row is (x0, y0, x1, y1)")
    squares = [_square(index, box, rule) for index, box in enumerate(boxes.tolist())]
    array = np.array(squares, dtype=np.float64).reshape(-1, 3)
    return Placement(centre=array[:, :2], side=array[:, 2])


def _square(index: int, box: Sequence[float], rule: SquareRule) -> tuple[float, float, float]:
    """Return x and y of the centre, and the side; numpy is slow on a few numbers at a time.

    Raises:
        InputError: If there is no such square.
    """
    # Corners may be finite and what lies between them not.
    sides = (rule.side_factor * (box[2] - box[0]), rule.side_factor * (box[3] - box[1]))
    if not all(map(math.isfinite, (*box, *sides))):
        raise InputError(f"box {index} is not finite, so it has no square; leave it out")
    if rule.centre == "integer":
        box = [float(math.trunc(corner + 0.5)) for corner in box]
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    side = rule.side_factor * max(width, height)
    if side <= 0:
        raise InputError(f"box {index} is too small to crop: its square would be {side:g} px wide")
    if rule.centre == "integer":
        return x0 + (width + 1) // 2, y0 + (height + 1) // 2, side
    return x0 + width / 2, y0 + height / 2, side


def boxes_from_landmarks(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the smallest box around the landmarks of each face.

    Args:
        landmarks: ``(F, N, 2)``, frame pixels, N at least 1.

    Returns:
        ``(F, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels.

    Raises:
        ShapeError: If `landmarks` is not ``(F, N, 2)`` or N is 0.
    """
    landmarks = np.asarray(landmarks, dtype=np.float64)
    if landmarks.ndim != 3 or landmarks.shape[2] != 2 or landmarks.shape[1] == 0:
        raise ShapeError(
            f"`landmarks` must be (F, N, 2), got {landmarks.shape}; "
            "for one face pass `landmarks[None]`"
        )
    return np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1)


def crop_from_frame(placement: Placement, size_px: int) -> NDArray[np.float64]:
    """Return the affine matrices from frame pixels to crop pixels.

    ``u = size_px / side * (X - centre) + size_px / 2``, without a half-pixel correction, as SLPT.

    Returns:
        ``(F, 2, 3)`` float64, as `cv2.warpAffine` takes them.
    """
    scale = size_px / placement.side  # (F,)
    matrices = np.zeros((len(placement), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = size_px / 2 - scale[:, None] * placement.centre
    return matrices


def frame_from_crop(
    landmarks_norm: NDArray[np.floating], placement: Placement
) -> NDArray[np.float64]:
    """Return landmarks in frame pixels: ``X = centre + side * (x - 0.5)``.

    Args:
        landmarks_norm: ``(F, N, 2)``, fraction of the crop; may lie outside 0 to 1.
        placement: The F squares that the crops were cut from.

    Returns:
        ``(F, N, 2)`` float64, frame pixels.
    """
    offset = np.asarray(landmarks_norm, dtype=np.float64) - 0.5
    return placement.centre[:, None, :] + placement.side[:, None, None] * offset
