"""Pure array functions: box -> square -> crop, and back to the frame; numpy and OpenCV only."""

from __future__ import annotations

from facealign.geometry.placement import (
    Placement,
    boxes_from_landmarks,
    crop_from_frame,
    frame_from_crop,
    placement_from_boxes,
)
from facealign.geometry.warp import crops_from_frame

__all__ = [
    "Placement",
    "boxes_from_landmarks",
    "crop_from_frame",
    "crops_from_frame",
    "frame_from_crop",
    "placement_from_boxes",
]
