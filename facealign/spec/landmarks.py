"""What a session returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Landmarks"]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Landmarks of F faces in one frame.

    Attributes:
        xy: ``(F, N, 2)`` float32, frame pixels; may lie outside the frame.
        boxes: ``(F, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels; the boxes asked for, in their
            order.
        scheme: Name of the landmark set, such as ``wflw98``.
        pose: ``(F, 6)`` float32 yaw, pitch and roll in degrees, then x, y and z in units of the 3-D
            face, as seen by the crop's camera; only from families that give it.
        score: ``(F, N)`` float32, the peak of each landmark's heat map, in no unit; only from
            families that give it.
    """

    xy: NDArray[np.float32]
    boxes: NDArray[np.float64]
    scheme: str
    pose: NDArray[np.float32] | None = None
    score: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.xy)
