"""From the landmarks of each graph to scores, and to differences from the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facealign.evaluation import (
    MIN_PAIRED_FACES,
    GroundTruth,
    Jitter,
    Normalisation,
    PairedDifference,
    drift,
    drift_distances_px,
    drift_lengths_px,
    evaluate_landmarks,
    landmark_errors_percent,
    normalisers_px,
    paired_difference,
)
from facealign.geometry import frame_from_crop
from facealign.pipeline.evaluation_result import REFERENCE, PrecisionEvaluation
from facealign.pipeline.face_set import FaceSet

__all__ = ["score_precisions"]


def score_precisions(
    landmarks_norm: Mapping[str, NDArray[np.float32]],
    jitters: Mapping[str, Jitter],
    face_set: FaceSet,
    *,
    normalisation: Normalisation,
    threshold_percent: float,
) -> dict[str, PrecisionEvaluation]:
    """Return what each graph is worth, by precision.

    Args:
        landmarks_norm: ``(F, N, 2)``, a fraction of the crop, by precision; the reference is there.
        jitters: By precision.
        face_set: The F faces.
        normalisation: What errors are divided by.
        threshold_percent: NME above which a face is a failure.

    Raises:
        InputError: If a face cannot be normalised.
    """
    reference = landmarks_norm[REFERENCE]
    found = {
        name: _without_labels(own, reference, jitters[name], face_set)
        for name, own in landmarks_norm.items()
    }
    found[REFERENCE] = dataclasses.replace(found[REFERENCE], drift=None)
    truth = face_set.truth
    if truth is None:
        return found
    nme = {name: _nme(each.landmarks, truth, normalisation) for name, each in found.items()}
    for name, each in found.items():
        found[name] = dataclasses.replace(
            each,
            report=evaluate_landmarks(
                each.landmarks,
                truth,
                normalisation=normalisation,
                threshold_percent=threshold_percent,
            ),
            nme_percent=nme[name],
        )
        if name != REFERENCE:
            found[name] = _compared(found[name], nme[name], nme[REFERENCE], truth)
    return found


def _without_labels(
    own: NDArray[np.float32],
    reference: NDArray[np.float32],
    jitter: Jitter,
    face_set: FaceSet,
) -> PrecisionEvaluation:
    size_px = face_set.rule.spec.size_px
    distances_px = drift_distances_px(own, reference, size_px=size_px)  # (F, N)
    lengths_px = drift_lengths_px(reference, size_px=size_px, scheme=face_set.scheme)  # (F,)
    return PrecisionEvaluation(
        landmarks=frame_from_crop(own, face_set.placement),
        drift_percent=100 * distances_px.mean(axis=1) / lengths_px,
        jitter=jitter,
        drift=drift(own, reference, size_px=size_px, scheme=face_set.scheme),
    )


def _nme(
    landmarks: NDArray[np.float64], truth: GroundTruth, normalisation: Normalisation
) -> NDArray[np.float64]:
    """Return the ``(F,)`` NMEs, percent."""
    lengths = normalisers_px(truth.landmarks, normalisation, scheme=truth.scheme, boxes=truth.boxes)
    errors = landmark_errors_percent(landmarks, truth.landmarks, normalisers_px=lengths)
    return np.asarray(errors.mean(axis=1), np.float64)


def _compared(
    found: PrecisionEvaluation,
    nme: NDArray[np.float64],
    reference_nme: NDArray[np.float64],
    truth: GroundTruth,
) -> PrecisionEvaluation:
    """Return `found` with its differences from the reference."""
    differences: dict[str, PairedDifference] = {
        name: paired_difference(nme[list(faces)], reference_nme[list(faces)])
        for name, faces in truth.subsets.items()
        if len(faces) >= MIN_PAIRED_FACES
    }
    overall = paired_difference(nme, reference_nme) if len(nme) >= MIN_PAIRED_FACES else None
    return dataclasses.replace(found, difference=overall, subset_differences=differences)
