"""How far each landmark of each face is off, in percent of the face's own length."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ShapeError
from facealign.evaluation.array_checks import check_landmarks, check_lengths

__all__ = ["landmark_errors_percent"]


def landmark_errors_percent(
    predicted: NDArray[np.floating],
    truth: NDArray[np.floating],
    *,
    normalisers_px: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return the distance of each landmark from the truth, in percent of the face's length.

    The mean over the landmarks of a face is its NME; the mean over the faces is a landmark's NME.

    Args:
        predicted: ``(F, N, 2)``, frame pixels, finite.
        truth: ``(F, N, 2)``, frame pixels, finite.
        normalisers_px: ``(F,)``, frame pixels, above 0.

    Returns:
        ``(F, N)`` float64, percent, 0 or more.

    Raises:
        ShapeError: If the shapes do not fit.
        InputError: If a value is not finite or a length is not above 0, naming the face.
    """
    truth = check_landmarks("truth", truth)
    predicted = check_landmarks("predicted", predicted)
    if predicted.shape != truth.shape:
        raise ShapeError(
            f"`predicted` must be {truth.shape} as `truth`, got {predicted.shape}; "
            "check that both are of the same faces and the same scheme"
        )
    lengths = np.asarray(normalisers_px, dtype=np.float64)
    if lengths.shape != truth.shape[:1]:
        raise ShapeError(
            f"`normalisers_px` must be {truth.shape[:1]}, got {lengths.shape}; one per face"
        )
    check_lengths("normaliser", lengths)
    offset = predicted - truth  # (F, N, 2)
    distances_px = np.hypot(offset[..., 0], offset[..., 1])  # (F, N)
    return np.asarray(100 * distances_px / lengths[:, None], np.float64)
