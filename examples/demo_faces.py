"""Synthetic faces for the demo checkpoint: read or rendered, cut to crops, and changed at random.

Crops of held-out faces follow the family's own rule from landmarks, the protocol of published
figures. Training crops start from that square and are moved, scaled, turned, mirrored and degraded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.datasets import WFLW_ATTRIBUTES, read_wflw
from facealign.geometry import (
    Placement,
    boxes_from_landmarks,
    crops_from_frame,
    placement_from_boxes,
)
from facealign.spec import WFLW98, CropSpec
from facealign.synth import synthetic_face

__all__ = ["Faces", "cut_crops", "read_faces", "rendered_faces", "training_batch"]

_MIRROR = list(WFLW98.mirror)
_LARGEST_TURN = 20.0  # degrees; a strong roll of the faces themselves adds to it
_LARGEST_SHIFT = 0.06  # of the crop; the box of a synthetic detector is off by some 3 %
_SCALES = (0.88, 1.15)  # of the square; the rule for a detector's box is 1.15 / 1.2 of it
_MIRROR_SHARE = 0.5
_GREY_SHARE, _BLUR_SHARE, _NOISE_SHARE, _ERASE_SHARE = 0.15, 0.25, 0.15, 0.35
_ERASED_SIDES = (0.06, 0.28)  # of the crop
_BLUR_SIGMA = (0.4, 1.8)  # px of a 256 crop
_NOISE_SIGMA = 8.0  # grey levels


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Frames with one face each.

    Attributes:
        frames: F of ``(H, W, 3)`` uint8 BGR.
        landmarks: ``(F, 98, 2)`` float64, frame pixels.
        boxes: ``(F, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels, as a detector gives them.
        subsets: Indices of the faces with each attribute, where there is one.
    """

    frames: tuple[NDArray[np.uint8], ...]
    landmarks: NDArray[np.float64]
    boxes: NDArray[np.float64]
    subsets: Mapping[str, tuple[int, ...]]

    def __len__(self) -> int:
        return len(self.frames)


def read_faces(folder: Path, split: str, *, count: int | None = None) -> Faces:
    """Return the first `count` faces of a split of a data set in WFLW's layout, all if None.

    Raises:
        DatasetError: If the folder is no such data set.
        InputError: If a picture cannot be read.
    """
    dataset = read_wflw(folder, split=split)
    chosen = dataset.faces[:count]
    return Faces(
        frames=tuple(face.image.read() for face in chosen),
        landmarks=np.stack([face.landmarks for face in chosen]),
        boxes=np.stack([np.asarray(face.box, np.float64) for face in chosen]),
        subsets=_subsets(
            [[name in face.attributes for name in WFLW_ATTRIBUTES] for face in chosen]
        ),
    )


def rendered_faces(seed: int, count: int) -> Faces:
    """Return faces 0 to ``count - 1`` of a seed, in frames of 256 px."""
    faces = [synthetic_face(seed, index) for index in range(count)]
    return Faces(
        frames=tuple(face.image for face in faces),
        landmarks=np.stack([face.landmarks for face in faces]),
        boxes=np.stack([face.box.astype(np.float64) for face in faces]),
        subsets=_subsets([face.attributes.as_numbers() for face in faces]),
    )


def _subsets(flags: Sequence[Sequence[int]]) -> dict[str, tuple[int, ...]]:
    table = np.asarray(flags, bool)
    named = {
        name: tuple(np.flatnonzero(table[:, column]).tolist())
        for column, name in enumerate(WFLW_ATTRIBUTES)
    }
    return {name: faces for name, faces in named.items() if faces}


def cut_crops(
    faces: Faces, crop: CropSpec, *, from_boxes: bool = False
) -> tuple[NDArray[np.uint8], Placement]:
    """Return one crop per face, and where they lie.

    Args:
        faces: F of them.
        crop: The family's rule.
        from_boxes: Whether the squares come from the detector's boxes, not from the landmarks.

    Returns:
        ``(F, S, S, 3)`` uint8 BGR, and F squares in frame pixels.
    """
    if from_boxes:
        placement = placement_from_boxes(faces.boxes, crop.from_box)
    else:
        boxes = boxes_from_landmarks(faces.landmarks)
        placement = placement_from_boxes(boxes, crop.from_landmarks)
    crops = [
        crops_from_frame(frame, Placement(centre[None], side[None]), crop)
        for frame, centre, side in zip(faces.frames, placement.centre, placement.side, strict=True)
    ]
    return np.concatenate(crops), placement


def training_batch(
    faces: Faces,
    indices: Sequence[int],
    rng: np.random.Generator,
    *,
    crop: CropSpec,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return changed crops of some faces and their landmarks.

    Args:
        faces: To choose from.
        indices: B of them.
        rng: Decides every change.
        crop: The family's rule; its `size_px` is S.

    Returns:
        ``(B, S, S, 3)`` uint8 BGR, and ``(B, 98, 2)`` float32 landmarks as a fraction of the crop,
        which may lie a little outside it.
    """
    boxes = boxes_from_landmarks(faces.landmarks[list(indices)])
    squares = placement_from_boxes(boxes, crop.from_landmarks)
    crops = np.empty((len(indices), crop.size_px, crop.size_px, 3), np.uint8)
    landmarks = np.empty((len(indices), WFLW98.landmark_count, 2), np.float32)
    for place, index in enumerate(indices):
        is_mirrored = bool(rng.random() < _MIRROR_SHARE)
        matrix = _matrix(squares.centre[place], float(squares.side[place]), rng, is_mirrored)
        moved = faces.landmarks[index] @ matrix[:, :2].T + matrix[:, 2]
        landmarks[place] = moved[_MIRROR] if is_mirrored else moved
        pixels = cv2.warpAffine(
            faces.frames[index], crop.size_px * matrix, (crop.size_px, crop.size_px)
        )
        crops[place] = _degraded(np.asarray(pixels, np.uint8), rng)
    return crops, landmarks


def _matrix(
    centre: NDArray[np.float64], side: float, rng: np.random.Generator, is_mirrored: bool
) -> NDArray[np.float64]:
    """Return the ``(2, 3)`` map from frame pixels to fractions of a moved, turned square."""
    side *= rng.uniform(*_SCALES)
    centre = centre + side * rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, 2)
    angle = np.deg2rad(rng.uniform(-_LARGEST_TURN, _LARGEST_TURN))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / side
    if is_mirrored:
        turn[0] *= -1
    return np.concatenate([turn, (0.5 - turn @ centre)[:, None]], axis=1)


def _degraded(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    size_px = len(pixels)
    image = pixels.astype(np.float32)
    if rng.random() < _GREY_SHARE:
        image[:] = image.mean(axis=-1, keepdims=True)
    mean = image.mean()
    gains = (rng.uniform(0.6, 1.35) * rng.uniform(0.9, 1.1, 3)).astype(np.float32)
    image = (image - mean) * gains + np.float32(mean + rng.uniform(-35, 35))
    if rng.random() < _BLUR_SHARE:
        sigma = rng.uniform(*_BLUR_SIGMA) * size_px / 256
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma, 0.3)), np.float32)
    if rng.random() < _NOISE_SHARE:
        noise = rng.standard_normal(image.shape, np.float32)
        image += np.float32(rng.uniform(0, _NOISE_SIGMA)) * noise
    if rng.random() < _ERASE_SHARE:
        low = rng.integers(0, size_px, 2)
        high = low + np.rint(size_px * rng.uniform(*_ERASED_SIDES, 2)).astype(np.int64)
        image[low[1] : high[1], low[0] : high[0]] = rng.uniform(0, 255, 3)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
