"""The faces that an evaluation runs on: who they are, and their crops, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.datasets import (
    BoxedImages,
    CropRule,
    CropSource,
    Dataset,
    Face,
    FaceCrops,
    boxes_of_faces,
    face_crops,
    read_dataset,
)
from facealign.errors import UsageError
from facealign.evaluation import GroundTruth
from facealign.geometry import Placement, crop_from_frame, placement_from_boxes
from facealign.spec import Scheme, scheme_by_name

__all__ = ["FaceSet", "crop_px_from_frame", "placement_at", "read_face_set"]

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
        rule: How crops are cut, and from what.
        placement: The F squares, frame pixels.
        truth: What the annotators say; None for a folder of boxes. A subset that none of these
            faces belongs to is left out.
    """

    name: str
    split: str | None
    scheme: Scheme
    faces: tuple[Face, ...]
    total_count: int
    rule: CropRule
    placement: Placement
    truth: GroundTruth | None

    @property
    def title(self) -> str:
        """Name and split, such as ``wflw test``."""
        return f"{self.name} {self.split}" if self.split else self.name

    @property
    def size_text(self) -> str:
        """How many faces, and of how many, for people."""
        count, total = len(self.faces), self.total_count
        return f"{count} faces" if count == total else f"the first {count} of {total} faces"

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Return the ``(H, W, 3)`` uint8 BGR frame of a face.

        Raises:
            InputError: If it cannot be read.
        """
        return self.faces[index].image.read()

    def crops(self) -> Iterator[FaceCrops]:
        """Return the crops, up to 8 at a time; images are read one after the other.

        Raises:
            DatasetError: If a face lies outside its image.
            InputError: If an image cannot be read.
        """
        return face_crops(self.faces, self.rule, batch_size=_BATCH)


def read_face_set(
    path: Path,
    manifest: Manifest,
    *,
    split: str | None = None,
    crops_from: CropSource | None = None,
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
        DatasetError: If the folder is no data set, or broken, if a face lacks what `crops_from`
            asks for, or is too small to crop.
        UsageError: If the scheme is another, or `limit` is below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit must be 1 or more, got {limit}; leave it out for all faces")
    dataset = read_dataset(path, split=split)
    if isinstance(dataset, Dataset):
        _check_scheme(dataset, manifest, path)
    faces: tuple[Face, ...] = dataset.faces[:limit]
    default: CropSource = "box" if isinstance(dataset, BoxedImages) else "landmarks"
    rule = CropRule(manifest.crop, crops_from or default)
    return FaceSet(
        name=dataset.name,
        split=dataset.split if isinstance(dataset, Dataset) else None,
        scheme=scheme_by_name(manifest.scheme, manifest.landmark_count),
        faces=faces,
        total_count=len(dataset.faces),
        rule=rule,
        placement=placement_from_boxes(boxes_of_faces(faces, rule), rule.square),
        truth=_truth(dataset, len(faces)) if isinstance(dataset, Dataset) else None,
    )


def placement_at(placement: Placement, index: int) -> Placement:
    """Return one square of many."""
    return Placement(placement.centre[index : index + 1], placement.side[index : index + 1])


def crop_px_from_frame(
    landmarks: NDArray[np.float64], placement: Placement, size_px: int
) -> NDArray[np.float64]:
    """Return ``(F, N, 2)`` landmarks in pixels of crops.

    Args:
        landmarks: ``(F, N, 2)``, frame pixels.
        placement: The F squares of the crops.
        size_px: Side of the crops.
    """
    matrices = crop_from_frame(placement, size_px)  # (F, 2, 3)
    moved: NDArray[np.float64] = landmarks @ matrices[:, :, :2].transpose(0, 2, 1)
    return moved + matrices[:, None, :, 2]


def _check_scheme(dataset: Dataset, manifest: Manifest, path: Path) -> None:
    if dataset.scheme.name != manifest.scheme:
        raise UsageError(
            f"`{path}` has {dataset.scheme.landmark_count} landmarks a face "
            f"({dataset.scheme.name}) and the bundle finds {manifest.landmark_count} "
            f"({manifest.scheme}); pass a data set of the bundle's own landmarks"
        )


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
