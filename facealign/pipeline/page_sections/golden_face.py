"""Crops of the one face that every bundle has: that of its self-test, moved a little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle, Golden
from facealign.evaluation import Trembling, trembling_crops
from facealign.geometry import placement_from_boxes

__all__ = ["golden_face_crops"]


def golden_face_crops(bundle: Bundle, golden: Golden, *, count: int) -> NDArray[np.uint8]:
    """Return ``(K, S, S, 3)`` uint8 BGR crops around the first golden box; the same every time.

    Raises:
        InputError: If `count` is below 3.
    """
    crop = bundle.manifest.crop
    placement = placement_from_boxes(golden.boxes[:1], crop.from_box)
    return trembling_crops(golden.frame, placement, crop, Trembling(step_count=count))[0]
