"""Choose the faces to calibrate on: stratified, the same every time, and written down."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.image_digest import image_sha256
from facealign.calibration.set_manifest import (
    SELECTION_RULE,
    AttributeCount,
    CalibrationManifest,
    FaceEntry,
    seal,
)
from facealign.calibration.stratify import stratified
from facealign.datasets import AnnotatedFace
from facealign.datasets.face_crops import CropRule, Face, boxes_of_faces
from facealign.errors import CalibrationError, UsageError

__all__ = ["CalibrationSet", "curate"]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSet:
    """Faces to calibrate on.

    Attributes:
        faces: In the order of choice; every beginning is stratified, so that ranges of the first
            half can be compared with those of all.
        manifest: What they are.
    """

    faces: tuple[Face, ...]
    manifest: CalibrationManifest


def curate(
    faces: Sequence[Face],
    rule: CropRule,
    *,
    attribute_names: Sequence[str] = (),
    count: int,
    seed: int,
) -> CalibrationSet:
    """Return `count` faces, or all if there are fewer, that have the attributes of all.

    Each attribute, pair and combination of attributes gets its share as nearly as whole faces
    allow, each attribute at least a few faces, and no image gives a second face before each has
    given one. The choice depends on names, annotations, `count` and `seed`, and not on the order of
    `faces`, nor on `rule`: all families are calibrated on the same faces.

    Args:
        faces: Of one split; those of `BoxedImages` have no attributes and are chosen evenly.
        rule: How they will be cropped, for the manifest.
        attribute_names: Those to stratify over, such as `Dataset.attribute_names`.
        count: 1 or more; some hundred are usual.
        seed: Any integer.

    Raises:
        UsageError: If `count` is below 1.
        CalibrationError: If there are no faces.
        DatasetError: If a face cannot be cropped by `rule`.
        InputError: If an image cannot be read.
    """
    if count < 1:
        raise UsageError(f"count must be 1 or more, got {count}; some hundred faces are usual")
    if not faces:
        raise CalibrationError("there are no faces to choose from; give some hundred")
    boxes = boxes_of_faces(faces, rule)
    ranked = sorted(range(len(faces)), key=lambda index: _rank(faces[index], seed))
    labels = [_labels(faces[index], attribute_names) for index in ranked]
    images = [faces[index].image for index in ranked]
    chosen = [ranked[place] for place in stratified(labels, images, count)]
    entries = [_entry(faces[index], boxes[index], attribute_names) for index in chosen]
    manifest = CalibrationManifest(
        rule=SELECTION_RULE,
        seed=seed,
        count_asked=count,
        face_total=len(faces),
        crop=rule.spec,
        crops_from=rule.source,
        attributes=_counts(labels, entries, attribute_names),
        faces=tuple(entries),
    )
    return CalibrationSet(tuple(faces[index] for index in chosen), seal(manifest))


def _rank(face: Face, seed: int) -> bytes:
    """Return what faces are sorted by: as good as random, and the same on every machine."""
    digest = hashlib.sha256(f"{seed}\n{face.image.name}\n".encode())
    if face.box is not None:
        digest.update(b"box" + face.box.astype("<f8").tobytes())
    if isinstance(face, AnnotatedFace):
        digest.update(b"landmarks" + face.landmarks.astype("<f8").tobytes())
        digest.update(" ".join(sorted(face.attributes)).encode())
    return digest.digest()


def _labels(face: Face, names: Sequence[str]) -> frozenset[str]:
    return face.attributes & set(names) if isinstance(face, AnnotatedFace) else frozenset()


def _entry(face: Face, box: NDArray[np.float64], names: Sequence[str]) -> FaceEntry:
    labels = _labels(face, names)
    x0, y0, x1, y1 = box.tolist()
    return FaceEntry(
        image=face.image.name,
        image_sha256=image_sha256(face.image),
        box=(x0, y0, x1, y1),
        attributes=tuple(name for name in names if name in labels),
    )


def _counts(
    labels: Sequence[frozenset[str]], entries: Sequence[FaceEntry], names: Sequence[str]
) -> dict[str, AttributeCount]:
    return {
        name: AttributeCount(
            chosen=sum(name in entry.attributes for entry in entries),
            total=sum(name in each for each in labels),
        )
        for name in names
    }
