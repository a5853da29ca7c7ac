"""The length that a face's errors are divided by, so that big and small faces count alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation.array_checks import check_finite, check_landmarks, check_lengths
from facealign.spec import FACE68, WFLW98, Scheme

__all__ = ["EYES", "NORMALISATIONS", "EyeLandmarks", "Normalisation", "normalisers_px"]

Normalisation = Literal["corners", "pupils", "box", "bbox", "height", "diagonal"]
"""What to divide by; `normalisers_px` says what each is."""

NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)


@dataclass(frozen=True, slots=True)
class EyeLandmarks:
    """Indices of the landmarks that measure the eyes, left first as seen in the picture.

    Attributes:
        outer_corners: The two outer eye corners.
        outlines: Six landmarks per eye: both corners, two on the upper and two on the lower lid.
    """

    outer_corners: tuple[int, int]
    outlines: tuple[tuple[int, ...], tuple[int, ...]]


# Source: SPEC 8.1; ids 7 and 12, the outer corners, are entries 36 and 45 of 300W's `ldm_ids`, 60
# and 72 of WFLW's. WFLW draws eight landmarks per eye and SPEC says "6 ids per eye" without naming
# them: these six are where the 68 of 300W have theirs. No published figure at hand can confirm it.
EYES: dict[str, EyeLandmarks] = {
    FACE68.name: EyeLandmarks(
        outer_corners=(36, 45),
        outlines=((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)),
    ),
    WFLW98.name: EyeLandmarks(
        outer_corners=(60, 72),
        outlines=((60, 61, 63, 64, 65, 67), (68, 69, 71, 72, 73, 75)),
    ),
}


def normalisers_px(
    landmarks: NDArray[np.floating],
    normalisation: Normalisation,
    *,
    scheme: Scheme,
    boxes: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Return the length that each face's errors are divided by, always of the ground truth.

    ============  ==============================================================  =================
    name          length                                                          also known as
    ============  ==============================================================  =================
    ``corners``   between the outer eye corners                                   inter-ocular
    ``pupils``    between the means of six landmarks per eye                      inter-pupil
    ``box``       ``sqrt(w * h)`` of the smallest box around the landmarks        lnd_bbox
    ``bbox``      ``sqrt(w * h)`` of `boxes`                                      box size
    ``height``    ``h`` of `boxes`                                                face height
    ``diagonal``  ``sqrt(w**2 + h**2)`` of `boxes`                                box diagonal
    ============  ==============================================================  =================

    Args:
        landmarks: ``(F, N, 2)`` ground truth, frame pixels, finite.
        normalisation: One of `NORMALISATIONS`.
        scheme: The landmark set; ``corners`` and ``pupils`` know those in `EYES`.
        boxes: ``(F, 4)`` ``(x0, y0, x1, y1)``, frame pixels; for the last three only.

    Returns:
        ``(F,)`` float64, frame pixels, above 0.

    Raises:
        ShapeError: If an array has another shape.
        InputError: If a value is not finite, a length is 0 or less, the normalisation is unknown,
            or what it needs is missing.

    Source: SPEC 8.1 (the norms of the SPIGA authors). It does not say whose height and diagonal
    they take; the annotators' box is our reading. Only ``corners`` is confirmed by published
    figures (300W public).
    """
    landmarks = check_landmarks("landmarks", landmarks, landmark_count=scheme.landmark_count)
    if normalisation not in NORMALISATIONS:
        raise InputError(
            f"unknown normalisation {normalisation!r}; use one of {', '.join(NORMALISATIONS)}"
        )
    if normalisation in {"corners", "pupils"}:
        lengths = _eye_distance(landmarks, normalisation, scheme)
    elif normalisation == "box":
        lengths = _box_length(landmarks.max(axis=1) - landmarks.min(axis=1), "bbox")
    else:
        lengths = _box_length(_extents(boxes, normalisation, len(landmarks)), normalisation)
    check_lengths(f"{normalisation!r} normaliser", lengths)
    return lengths


def _eye_distance(
    landmarks: NDArray[np.float64], normalisation: Normalisation, scheme: Scheme
) -> NDArray[np.float64]:
    if scheme.name not in EYES:
        raise InputError(
            f"normalisation {normalisation!r} knows the eyes of {', '.join(EYES)} only, "
            f"got scheme {scheme.name!r}; use 'box'"
        )
    eyes = EYES[scheme.name]
    if normalisation == "corners":
        left, right = (landmarks[:, index] for index in eyes.outer_corners)  # (F, 2) each
    else:
        left, right = (landmarks[:, outline].mean(axis=1) for outline in eyes.outlines)
    offset = left - right  # (F, 2)
    return np.asarray(np.hypot(offset[:, 0], offset[:, 1]), np.float64)


def _extents(
    boxes: NDArray[np.floating] | None, normalisation: Normalisation, face_count: int
) -> NDArray[np.float64]:
    """Return ``(F, 2)`` width and height of each box; a box turned round has them below 0."""
    if boxes is None:
        raise InputError(f"normalisation {normalisation!r} needs `boxes`; pass them or use 'box'")
    corners: NDArray[np.float64] = np.asarray(boxes, dtype=np.float64)
    if corners.shape != (face_count, 4):
        raise ShapeError(
            f"`boxes` must be ({face_count}, 4), got {corners.shape}; each row is (x0, y0, x1, y1)"
        )
    check_finite("boxes", corners)
    return corners[:, 2:] - corners[:, :2]


def _box_length(extents: NDArray[np.float64], normalisation: Normalisation) -> NDArray[np.float64]:
    """Return the length of each box, and 0 where it is flat or turned round."""
    width, height = extents[:, 0], extents[:, 1]  # (F,) each
    if normalisation == "height":
        lengths = height
    elif normalisation == "diagonal":
        lengths = np.hypot(width, height)
    else:
        lengths = np.sqrt(np.maximum(width, 0)) * np.sqrt(np.maximum(height, 0))
    return np.where((width > 0) & (height > 0), lengths, 0.0)
