"""The faces to calibrate on, and others to judge by, from one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.calibration import (
    CalibrationManifest,
    CalibrationSet,
    check_disjoint,
    curate,
    split_by_content,
    text_of_set,
)
from facealign.datasets import (
    AnnotatedFace,
    BoxedImages,
    CropRule,
    CropSource,
    Dataset,
    Face,
    face_crops,
    read_dataset,
)
from facealign.errors import DatasetError
from facealign.evaluation import MIN_PAIRED_FACES
from facealign.pipeline.face_set import crop_px_from_frame
from facealign.pipeline.judge import HeldOut
from facealign.pipeline.progress import Stage
from facealign.spec import CropSpec, Scheme

__all__ = ["FaceRequest", "FaceSets", "read_face_sets"]

_CALIBRATED_SHARE = 0.6  # of a folder without splits


@dataclass(frozen=True, slots=True)
class FaceRequest:
    """Which faces, and how many.

    Attributes:
        folder: Of a data set with the splits ``train`` and ``test``, or of images with boxes.
        crops_from: What the crop rule starts from.
        calibration_count: Most faces to calibrate on.
        held_out_count: Most faces to judge by.
        seed: Of both choices.
    """

    folder: Path
    crops_from: CropSource = "box"
    calibration_count: int = 256
    held_out_count: int = 256
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FaceSets:
    """Crops of two sets of faces that share no image.

    Attributes:
        calibration: What the first are.
        calibration_crops: ``(K, S, S, 3)`` uint8 BGR.
        held_out: The second.
    """

    calibration: CalibrationManifest
    calibration_crops: NDArray[np.uint8]
    held_out: HeldOut


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """Faces to choose from, and the attributes that they are stratified over."""

    faces: tuple[Face, ...]
    names: tuple[str, ...] = ()


def read_face_sets(
    request: FaceRequest, crop: CropSpec, scheme: Scheme, *, stage: Stage
) -> FaceSets:
    """Return the crops of calibration and held-out faces; the choice is the same every time.

    Raises:
        DatasetError: If the folder is no data set, is broken, too small, or of another scheme.
        CalibrationError: If the two sets share an image.
    """
    rule = CropRule(crop, request.crops_from)
    train, test, title = _two_sides(request.folder, scheme)
    chosen = _chosen(train, rule, request.calibration_count, request.seed)
    held = _chosen(test, rule, request.held_out_count, request.seed).faces
    check_disjoint(chosen.manifest, held)
    if len(held) < MIN_PAIRED_FACES:
        raise DatasetError(
            f"`{request.folder}` leaves {len(held)} faces to judge by; give some hundred, at least "
            f"{MIN_PAIRED_FACES}"
        )
    total = len(chosen.faces) + len(held)
    calibration_crops, _ = _crops(chosen.faces, rule, stage, total)
    crops, truth_px = _crops(held, rule, stage, total)
    stage.say(f"{text_of_set(chosen.manifest)}; {len(crops)} others to judge by ({title})")
    held_out = HeldOut(title, request.crops_from, crops, truth_px, _subsets(held, test.names))
    return FaceSets(chosen.manifest, calibration_crops, held_out)


def _two_sides(folder: Path, scheme: Scheme) -> tuple[_Side, _Side, str]:
    """Return faces to calibrate on, faces to judge by, and what the second are."""
    test = read_dataset(folder)
    if isinstance(test, BoxedImages):
        one, other = split_by_content(test.faces, _CALIBRATED_SHARE)
        return _Side(one), _Side(other), f"folder {test.name}, without annotations"
    _check_scheme(test, scheme, folder)
    train = read_dataset(folder, split="train")
    return _side(train), _side(test), f"{test.name} {test.split}"


def _side(data: Dataset | BoxedImages) -> _Side:
    """Return faces with attributes of their own: those of 300W's test are none of its training."""
    return _Side(data.faces, data.attribute_names if isinstance(data, Dataset) else ())


def _chosen(side: _Side, rule: CropRule, count: int, seed: int) -> CalibrationSet:
    return curate(side.faces, rule, attribute_names=side.names, count=count, seed=seed)


def _check_scheme(dataset: Dataset, scheme: Scheme, folder: Path) -> None:
    if dataset.scheme != scheme:
        raise DatasetError(
            f"the faces of `{folder}` have the landmarks of {dataset.scheme.name} and the network "
            f"gives those of {scheme.name}; give faces of its own scheme, or only their boxes"
        )


def _crops(
    faces: tuple[Face, ...], rule: CropRule, stage: Stage, total: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64] | None]:
    """Return ``(K, S, S, 3)`` crops and ``(K, N, 2)`` landmarks in crop pixels, in order."""
    size_px = rule.spec.size_px
    crops = np.empty((len(faces), size_px, size_px, 3), np.uint8)
    truth: dict[int, NDArray[np.float64]] = {}
    for batch in face_crops(faces, rule):
        crops[batch.indices] = batch.crops
        if batch.landmarks is not None:
            inside = crop_px_from_frame(batch.landmarks, batch.placement, size_px)
            truth.update(zip(batch.indices.tolist(), inside, strict=True))
        stage.advance(len(batch.crops), total=total)
    return crops, np.stack([truth[i] for i in range(len(faces))]) if truth else None


def _subsets(faces: tuple[Face, ...], names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """Return the indices of the faces that have each attribute, where there are any."""
    subsets = {
        name: tuple(
            index
            for index, face in enumerate(faces)
            if isinstance(face, AnnotatedFace) and name in face.attributes
        )
        for name in names
    }
    return {name: indices for name, indices in subsets.items() if indices}
