"""How far a precision's landmarks are from those of FP32: no labels are needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ShapeError
from facealign.evaluation.array_checks import check_landmarks
from facealign.evaluation.normaliser import EYES, normalisers_px
from facealign.spec import Scheme

__all__ = ["Drift", "DriftLength", "drift", "drift_distances_px", "drift_lengths_px"]

DriftLength = Literal["corners", "crop"]
"""What a drift is divided by: FP32's own outer eye corners' distance, or the side of the crop."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Distances of landmarks from the reference, over all landmarks of all faces.

    Attributes:
        face_count: F.
        length: What the percentages are of.
        mean_percent: Mean.
        p99_percent: 99th percentile, linear between two landmarks.
        max_percent: Largest.
        mean_px: Mean, crop pixels.
        p99_px: 99th percentile, crop pixels.
        max_px: Largest, crop pixels.
        worst_face: Index of the face with the largest distance in crop pixels.
        worst_landmark: Index of that landmark.
    """

    face_count: int
    length: DriftLength
    mean_percent: float
    p99_percent: float
    max_percent: float
    mean_px: float
    p99_px: float
    max_px: float
    worst_face: int
    worst_landmark: int


def drift(
    landmarks_norm: NDArray[np.floating],
    reference_norm: NDArray[np.floating],
    *,
    size_px: int,
    scheme: Scheme,
) -> Drift:
    """Return how far landmarks are from those that the reference gives for the same crops.

    Args:
        landmarks_norm: ``(F, N, 2)``, a fraction of the crop, finite.
        reference_norm: ``(F, N, 2)``, those of the FP32 graph.
        size_px: Side of the crops.
        scheme: The landmark set; where its eyes are unknown, percentages are of the crop's side.

    Raises:
        ShapeError: If the shapes do not fit.
        InputError: If a value is not finite, or the reference's eye corners of a face coincide.
    """
    distances_px = drift_distances_px(landmarks_norm, reference_norm, size_px=size_px)
    lengths_px = drift_lengths_px(reference_norm, size_px=size_px, scheme=scheme)
    percent = 100 * distances_px / lengths_px[:, None]
    face, landmark = np.unravel_index(np.argmax(distances_px), distances_px.shape)
    return Drift(
        face_count=len(distances_px),
        length="corners" if scheme.name in EYES else "crop",
        mean_percent=float(percent.mean()),
        p99_percent=float(np.percentile(percent, 99)),
        max_percent=float(percent.max()),
        mean_px=float(distances_px.mean()),
        p99_px=float(np.percentile(distances_px, 99)),
        max_px=float(distances_px.max()),
        worst_face=int(face),
        worst_landmark=int(landmark),
    )


def drift_distances_px(
    landmarks_norm: NDArray[np.floating], reference_norm: NDArray[np.floating], *, size_px: int
) -> NDArray[np.float64]:
    """Return the ``(F, N)`` float64 distances of `drift`, crop pixels.

    Raises:
        ShapeError: If the shapes do not fit.
        InputError: If a value is not finite.
    """
    reference = check_landmarks("reference_norm", reference_norm)
    landmarks = check_landmarks("landmarks_norm", landmarks_norm)
    if landmarks.shape != reference.shape:
        raise ShapeError(
            f"`landmarks_norm` must be {reference.shape} as `reference_norm`, got "
            f"{landmarks.shape}; pass what both give for the same crops"
        )
    offset = (landmarks - reference) * size_px
    return np.asarray(np.hypot(offset[..., 0], offset[..., 1]), np.float64)


def drift_lengths_px(
    reference_norm: NDArray[np.floating], *, size_px: int, scheme: Scheme
) -> NDArray[np.float64]:
    """Return the ``(F,)`` lengths that distances are divided by, crop pixels.

    Raises:
        ShapeError: If `reference_norm` is not of the scheme.
        InputError: If a value is not finite, or eye corners coincide.
    """
    reference = check_landmarks(
        "reference_norm", reference_norm, landmark_count=scheme.landmark_count
    )
    if scheme.name not in EYES:
        return np.full(len(reference), float(size_px))
    return normalisers_px(reference * size_px, "corners", scheme=scheme)
