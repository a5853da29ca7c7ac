"""Crops of rendered faces, cut as a family cuts them: what a calibration sees, with no download."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.spec import CropSpec
from facealign.synth import synthetic_face

__all__ = ["synthetic_crops"]


def synthetic_crops(crop: CropSpec, *, seed: int, count: int) -> NDArray[np.uint8]:
    """Return the first faces of a seed, cut by the family's rule for a detector's box.

    Args:
        crop: Of the family.
        seed: Another seed, other people.
        count: K, at least 1.

    Returns:
        ``(K, S, S, 3)`` uint8 BGR.
    """
    crops = []
    for index in range(count):
        face = synthetic_face(seed, index, size_px=crop.size_px)
        placement = placement_from_boxes(face.box[None].astype(np.float64), crop.from_box)
        crops.append(crops_from_frame(face.image, placement, crop))
    return np.concatenate(crops)
