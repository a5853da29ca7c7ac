"""Crops of annotated or boxed faces by a family's own rule, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facealign.datasets.face import AnnotatedFace, BoxedImage
from facealign.datasets.image import FaceImage
from facealign.errors import DatasetError, InputError, first_of
from facealign.geometry import (
    Placement,
    boxes_from_landmarks,
    crops_from_frame,
    placement_from_boxes,
)
from facealign.spec import CropSpec, SquareRule

__all__ = ["CropRule", "CropSource", "Face", "FaceCrops", "boxes_of_faces", "face_crops"]

Face = AnnotatedFace | BoxedImage
CropSource = Literal["box", "landmarks"]


@dataclass(frozen=True, slots=True)
class CropRule:
    """How faces are cut out: a family's rule, and from what.

    Attributes:
        spec: Of the family.
        source: ``"box"``, as a user's detector gives it, or ``"landmarks"``, the box around the
            true ones, as published figures have it.
    """

    spec: CropSpec
    source: CropSource

    @property
    def square(self) -> SquareRule:
        """The part of `spec` that is for this source."""
        return self.spec.from_box if self.source == "box" else self.spec.from_landmarks


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrops:
    """Some crops, and what an evaluation needs to go back to the frame with `frame_from_crop`.

    Attributes:
        indices: ``(K,)`` int64, which of the faces these are.
        crops: ``(K, S, S, 3)`` uint8 BGR.
        placement: The K squares that they were cut from.
        landmarks: ``(K, N, 2)`` float64, frame pixels, the true ones; None of boxed images.
    """

    indices: NDArray[np.int64]
    crops: NDArray[np.uint8]
    placement: Placement
    landmarks: NDArray[np.float64] | None


def face_crops(
    faces: Sequence[Face], rule: CropRule, *, batch_size: int = 16
) -> Iterator[FaceCrops]:
    """Return an iterator over the crops of all faces; only the frame of one is held at a time.

    Each image is read once. Its faces follow each other where the first of them stands, so
    `indices` is 0, 1, 2 .. only where each image has one face, or its faces stand together.

    Args:
        faces: All annotated with as many landmarks, or all boxed.
        rule: How they are cut.
        batch_size: K of all batches but the last, which may have fewer.

    Raises:
        DatasetError: At once, before an image is read, if a face lacks what `rule` starts from, or
            if that is too small; later, if a face lies outside its frame.
        InputError: Later, if an image cannot be read or a face is too large to be warped.
        ValueError: If `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more, got {batch_size}")
    boxes = boxes_of_faces(faces, rule)
    return _batches(faces, boxes, rule, batch_size)


def boxes_of_faces(faces: Sequence[Face], rule: CropRule) -> NDArray[np.float64]:
    """Return what `rule` draws its squares around: ``(F, 4)`` float64, frame pixels.

    Raises:
        DatasetError: If a face has no box, or no landmarks, or if its square would have no side;
            `items` are the names of the images of all such faces.
    """
    found = [_box(face, rule.source) for face in faces]
    lacking = [face.image.name for face, box in zip(faces, found, strict=True) if box is None]
    if lacking:
        other = "landmarks" if rule.source == "box" else "box"
        raise DatasetError(
            f"{len(lacking)} of {len(faces)} faces have no {rule.source} to crop from "
            f"({first_of(lacking)}); crop from their {other}, or leave them out",
            items=lacking,
        )
    boxes = np.array([box for box in found if box is not None]).reshape(-1, 4)
    _check_sides(faces, boxes, rule)
    return boxes


def _box(face: Face, source: CropSource) -> NDArray[np.float64] | None:
    if source == "box":
        return face.box
    if isinstance(face, BoxedImage):
        return None
    box: NDArray[np.float64] = boxes_from_landmarks(face.landmarks[None])[0]
    return box


def _check_sides(faces: Sequence[Face], boxes: NDArray[np.float64], rule: CropRule) -> None:
    pairs = zip(faces, boxes, strict=True)
    small = [face.image.name for face, box in pairs if not _has_side(box, rule)]
    if small:
        raise DatasetError(
            f"{len(small)} of {len(faces)} faces are too small to crop ({first_of(small)}); "
            f"their {rule.source} is below a pixel across, so leave them out",
            items=small,
        )


def _has_side(box: NDArray[np.float64], rule: CropRule) -> bool:
    try:
        placement_from_boxes(box[None], rule.square)
    except InputError:
        return False
    return True


def _batches(
    faces: Sequence[Face], boxes: NDArray[np.float64], rule: CropRule, batch_size: int
) -> Iterator[FaceCrops]:
    indices: list[int] = []
    crops: list[NDArray[np.uint8]] = []
    for index, crop in _crops(faces, boxes, rule):
        indices.append(index)
        crops.append(crop)
        if len(indices) == batch_size:
            yield _batch(faces, boxes, rule, indices, crops)
            indices, crops = [], []
    if indices:
        yield _batch(faces, boxes, rule, indices, crops)


def _crops(
    faces: Sequence[Face], boxes: NDArray[np.float64], rule: CropRule
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the index and the ``(S, S, 3)`` crop of each face, image by image."""
    by_image: dict[FaceImage, list[int]] = {}
    for index, face in enumerate(faces):
        by_image.setdefault(face.image, []).append(index)
    for image, indices in by_image.items():
        crops = _crops_of_image(image, boxes[indices], rule)
        yield from zip(indices, crops, strict=True)


def _crops_of_image(
    image: FaceImage, boxes: NDArray[np.float64], rule: CropRule
) -> NDArray[np.uint8]:
    frame = image.read()
    _check_inside(boxes, frame, image.name)
    try:
        return crops_from_frame(frame, placement_from_boxes(boxes, rule.square), rule.spec)
    except InputError as error:
        raise InputError(f"image `{image.name}`: {error}") from error


def _check_inside(boxes: NDArray[np.float64], frame: NDArray[np.uint8], name: str) -> None:
    height, width = frame.shape[:2]
    outside = np.any((boxes[:, 2:] < 0) | (boxes[:, :2] >= (width, height)), axis=1)
    if outside.any():
        x0, y0, x1, y1 = boxes[int(np.argmax(outside))]
        raise DatasetError(
            f"a face of `{name}` lies outside its frame of {width} x {height} px: "
            f"({x0:g}, {y0:g}) to ({x1:g}, {y1:g}); correct its annotation, or leave it out"
        )


def _batch(
    faces: Sequence[Face],
    boxes: NDArray[np.float64],
    rule: CropRule,
    indices: Sequence[int],
    crops: Sequence[NDArray[np.uint8]],
) -> FaceCrops:
    chosen = np.array(indices, np.int64)
    landmarks = [
        face.landmarks
        for face in (faces[index] for index in indices)
        if isinstance(face, AnnotatedFace)
    ]
    return FaceCrops(
        indices=chosen,
        crops=np.stack(crops),
        placement=placement_from_boxes(boxes[chosen], rule.square),
        landmarks=np.stack(landmarks) if len(landmarks) == len(indices) else None,
    )
