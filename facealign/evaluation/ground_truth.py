"""What the annotators say about a set of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facealign.spec import Scheme

__all__ = ["GroundTruth"]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """F annotated faces; `evaluate_landmarks` checks them.

    Attributes:
        landmarks: ``(F, N, 2)`` float64, frame pixels, finite. Every landmark of every face counts:
            there is no mask, as all 46852 ``visible`` flags of 300W public are 1 and no data with a
            missing landmark were at hand to learn its convention from.
        scheme: The landmark set; it says where the eyes are.
        boxes: ``(F, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels: the annotators' box, which
            some normalisations need.
        pose: ``(F, 3)`` float64 yaw, pitch and roll in degrees.
        subsets: Indices of the faces of each named subset. Subsets may overlap; a face may not be
            twice in one.
    """

    landmarks: NDArray[np.float64]
    scheme: Scheme
    boxes: NDArray[np.float64] | None = None
    pose: NDArray[np.float64] | None = None
    subsets: Mapping[str, Sequence[int]] = field(default_factory=dict)
