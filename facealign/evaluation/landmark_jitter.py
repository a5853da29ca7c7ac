"""How much landmarks tremble while a face hardly moves: no labels are needed for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation.array_checks import check_finite

__all__ = ["MIN_STEPS", "Jitter", "jitter", "second_differences"]

MIN_STEPS = 3  # a second difference spans three
# 1, -2, 1: the sum of the squares. White noise then comes out as strong as it is.
_WHITE_NOISE_GAIN = 6**0.5


@dataclass(frozen=True, slots=True)
class Jitter:
    """High-pass RMS of landmarks over time.

    Attributes:
        face_count: K.
        step_count: T, crops of each face.
        rms_px: Over all faces, landmarks and steps; a distance (both axes), crop pixels.
        worst_face: Index, among the K, of the face that trembles most.
        worst_face_rms_px: Its RMS.
        worst_landmark: Index of the landmark that trembles most over all faces.
        worst_landmark_rms_px: Its RMS.
    """

    face_count: int
    step_count: int
    rms_px: float
    worst_face: int
    worst_face_rms_px: float
    worst_landmark: int
    worst_landmark_rms_px: float


def jitter(landmarks_px: NDArray[np.floating]) -> Jitter:
    """Return how much landmarks tremble from step to step.

    The filter is the temporal second difference ``(x[t-1] - 2 x[t] + x[t+1]) / sqrt(6)``. It takes
    out a constant error and steady motion whole, and slow motion nearly (a swing of 20 steps to
    4 %), as neither is seen as trembling; independent noise of each step passes as strong as it is.
    It needs no cut-off to argue about, and no steps to settle.

    Args:
        landmarks_px: ``(K, T, N, 2)``: K faces at T steps in a frame of reference that does not
            move, in crop pixels, finite; T at least `MIN_STEPS`.

    Raises:
        ShapeError: If the shape is another.
        InputError: If there is no face, or a value is not finite.
    """
    squares = np.sum(second_differences(landmarks_px) ** 2, axis=3)  # (K, T - 2, N)
    of_faces = np.sqrt(squares.mean(axis=(1, 2)))
    of_landmarks = np.sqrt(squares.mean(axis=(0, 1)))
    return Jitter(
        face_count=len(squares),
        step_count=np.shape(landmarks_px)[1],
        rms_px=float(np.sqrt(squares.mean())),
        worst_face=int(np.argmax(of_faces)),
        worst_face_rms_px=float(of_faces.max()),
        worst_landmark=int(np.argmax(of_landmarks)),
        worst_landmark_rms_px=float(of_landmarks.max()),
    )


def second_differences(landmarks_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the ``(K, T - 2, N, 2)`` filtered steps of `jitter`, crop pixels.

    Raises:
        ShapeError: If the shape is not ``(K, T, N, 2)``, or T is below `MIN_STEPS`.
        InputError: If there is no face, or a value is not finite.
    """
    values: NDArray[np.float64] = np.asarray(landmarks_px, np.float64)
    is_sequence = values.ndim == 4 and values.shape[3] == 2 and values.shape[2] > 0
    if not is_sequence or values.shape[1] < MIN_STEPS:
        raise ShapeError(
            f"`landmarks_px` must be (K, T, N, 2) with T of {MIN_STEPS} or more, got "
            f"{values.shape}; for one face pass `landmarks_px[None]`"
        )
    if len(values) == 0:
        raise InputError("`landmarks_px` has no face; pass one or more")
    check_finite("landmarks_px", values)
    return np.diff(values, n=2, axis=1) / _WHITE_NOISE_GAIN
