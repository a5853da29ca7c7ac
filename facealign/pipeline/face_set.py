"""The faces that an evaluation runs on: who they are, and their crops, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.datasets import AnnotatedFace, BoxedImage, BoxedImages, Dataset, read_dataset
from facealign.errors import InputError, UsageError
from facealign.evaluation import GroundTruth
from facealign.geometry import (
    Placement,
    boxes_from_landmarks,
    crops_from_frame,
    placement_from_boxes,
)
from facealign.spec import CropSpec, Scheme, scheme_by_name

__all__ = ["CropsFrom", "FaceSet", "placement_at", "read_face_set"]

CropsFrom = Literal["box", "landmarks"]
"""Where crops are cut: by the data set's boxes, or by the boxes around its landmarks."""

Face = AnnotatedFace | BoxedImage
_BATCH = 8  # crops in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class FaceSet:
    """The faces of a data set, or the first of them, and where their crops are cut.

    Attributes:
        name: Of the data set, or of the folder of boxes.
        split: Of the data set; None for a folder of boxes.
        scheme: The landmark set of the bundle, which is that of the data set.
        faces: F of them.
        total_count: How many the split has.
        crop: How crops are cut.
        crops_from: Which of its two rules is used.
        placement: The F squares, frame pixels.
        truth: What the annotators say; None for a folder of boxes. A subset that none of these
            faces belongs to is left out.
    """

    name: str
    split: str | None
    scheme: Scheme
    faces: tuple[Face, ...]
    total_count: int
    crop: CropSpec
    crops_from: CropsFrom
    placement: Placement
    truth: GroundTruth | None

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Return the ``(H, W, 3)`` uint8 BGR frame of a face.

        Raises:
            InputError: If it cannot be read, or the face's square lies outside it.
        """
        frame = self.faces[index].image.read()
        self._check_inside(index, frame)
        return frame

    def crops(self) -> Iterator[NDArray[np.uint8]]:
        """Return the crops in order, ``(B, S, S, 3)`` uint8 BGR each, B up to 8.

        Images are read one after the other; one with several faces in a row is read once.

        Raises:
            InputError: If an image cannot be read, or a face's square lies outside it.
        """
        batch = []
        for index, frame in enumerate(self._frames()):
            batch.append(crops_from_frame(frame, placement_at(self.placement, index), self.crop))
            if len(batch) == _BATCH or index + 1 == len(self.faces):
                yield np.concatenate(batch)
                batch = []

    def _frames(self) -> Iterator[NDArray[np.uint8]]:
        name, frame = None, np.empty((0, 0, 3), np.uint8)
        for index, face in enumerate(self.faces):
            if face.image.name != name:
                name, frame = face.image.name, face.image.read()
            self._check_inside(index, frame)
            yield frame

    def _check_inside(self, index: int, frame: NDArray[np.uint8]) -> None:
        centre, half = self.placement.centre[index], self.placement.side[index] / 2
        height, width = frame.shape[:2]
        if np.any(centre + half <= 0) or np.any(centre - half >= (width, height)):
            raise InputError(
                f"the face crop {index} of `{self.name}` lies outside its image "
                f"`{self.faces[index].image.name}` of {width} x {height} px; correct the data "
                f"set's {self.crops_from}, or leave the face out"
            )


def read_face_set(
    path: Path,
    manifest: Manifest,
    *,
    split: str | None = None,
    crops_from: CropsFrom | None = None,
    limit: int | None = None,
) -> FaceSet:
    """Return the faces of a data set with the squares that a bundle's crop rule draws.

    Args:
        path: Folder of a data set, see `read_dataset`.
        manifest: Of the bundle; its crop rule is used, and its scheme must be the data set's.
        split: Of the data set; ``"test"`` if None.
        crops_from: If None, the landmarks, which is the protocol of published figures, and the
            boxes of a folder that has no landmarks.
        limit: Take so many faces from the beginning; all if None.

    Raises:
        DatasetError: If the folder is no data set, or broken.
        UsageError: If the scheme is another, what `crops_from` asks for is not there, or `limit` is
            below 1.
        InputError: If a face is too small to crop.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be 1 or more, got {limit}; leave it out for all faces")
    dataset = read_dataset(path, split=split)
    if isinstance(dataset, Dataset):
        _check_scheme(dataset, manifest, path)
    faces: tuple[Face, ...] = dataset.faces[:limit]
    default: CropsFrom = "box" if isinstance(dataset, BoxedImages) else "landmarks"
    source = crops_from or default
    rule = manifest.crop.from_box if source == "box" else manifest.crop.from_landmarks
    return FaceSet(
        name=dataset.name,
        split=dataset.split if isinstance(dataset, Dataset) else None,
        scheme=scheme_by_name(manifest.scheme, manifest.landmark_count),
        faces=faces,
        total_count=len(dataset.faces),
        crop=manifest.crop,
        crops_from=source,
        placement=placement_from_boxes(_boxes(faces, source, path), rule),
        truth=_truth(dataset, len(faces)) if isinstance(dataset, Dataset) else None,
    )


def placement_at(placement: Placement, index: int) -> Placement:
    """Return one square of many."""
    return Placement(placement.centre[index : index + 1], placement.side[index : index + 1])


def _check_scheme(dataset: Dataset, manifest: Manifest, path: Path) -> None:
    if dataset.scheme.name != manifest.scheme:
        raise UsageError(
            f"`{path}` has {dataset.scheme.landmark_count} landmarks a face "
            f"({dataset.scheme.name}) and the bundle finds {manifest.landmark_count} "
            f"({manifest.scheme}); pass a data set of the bundle's own landmarks"
        )


def _boxes(faces: Sequence[Face], source: CropsFrom, path: Path) -> NDArray[np.float64]:
    """Return the ``(F, 4)`` boxes that squares are drawn around, frame pixels.

    Raises:
        UsageError: If a face lacks what they are made of.
    """
    if source == "landmarks":
        landmarks = [face.landmarks for face in faces if isinstance(face, AnnotatedFace)]
        if len(landmarks) < len(faces):
            raise UsageError(f"`{path}` has no landmarks to crop from; crop from its boxes")
        return boxes_from_landmarks(np.stack(landmarks))
    boxes = [face.box for face in faces if face.box is not None]
    if len(boxes) < len(faces):
        lacking = next(face.image.name for face in faces if face.box is None)
        raise UsageError(f"`{path}` has no box for `{lacking}`; crop from the landmarks")
    return np.stack(boxes)


def _truth(dataset: Dataset, count: int) -> GroundTruth:
    subsets = {
        name: tuple(index for index in indices if index < count)
        for name, indices in dataset.subsets.items()
    }
    return GroundTruth(
        landmarks=dataset.landmarks[:count],
        scheme=dataset.scheme,
        subsets={name: indices for name, indices in subsets.items() if indices},
    )
