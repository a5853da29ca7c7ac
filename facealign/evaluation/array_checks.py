"""What every array of an evaluation must be; each refusal names the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError

__all__ = ["check_finite", "check_landmarks", "check_lengths"]


def check_landmarks(
    name: str, landmarks: NDArray[np.floating], *, landmark_count: int | None = None
) -> NDArray[np.float64]:
    """Return `landmarks` as float64 if they are ``(F, N, 2)``, finite, of one face or more.

    Raises:
        ShapeError: If the shape is another, or N is not `landmark_count`.
        InputError: If there is no face, or a value is not finite.
    """
    array: NDArray[np.float64] = np.asarray(landmarks, dtype=np.float64)
    if array.ndim != 3 or array.shape[2] != 2 or array.shape[1] == 0:
        raise ShapeError(
            f"`{name}` must be (F, N, 2), got {array.shape}; for one face pass `{name}[None]`"
        )
    if landmark_count is not None and array.shape[1] != landmark_count:
        raise ShapeError(
            f"`{name}` must have {landmark_count} landmarks, got {array.shape[1]}; check the scheme"
        )
    if len(array) == 0:
        raise InputError(f"`{name}` has no face; pass one or more")
    check_finite(name, array)
    return array


def check_finite(name: str, values: NDArray[np.float64]) -> None:
    """Refuse NaN and infinity in ``(F, ...)`` values.

    Raises:
        InputError: Naming the first face, and the landmark where there are any.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        face, *rest = (int(index) for index in np.argwhere(bad)[0])
        place = f"landmark {rest[0]} of face {face}" if values.ndim == 3 else f"face {face}"
        raise InputError(
            f"`{name}` must be finite, got {values[bad][0]} at {place}; leave the face out"
        )


def check_lengths(name: str, lengths_px: NDArray[np.float64]) -> None:
    """Refuse ``(F,)`` lengths that nothing can be divided by.

    Raises:
        InputError: Naming the first such face.
    """
    bad = ~(np.isfinite(lengths_px) & (lengths_px > 0))
    if bad.any():
        face = int(np.argmax(bad))
        raise InputError(
            f"{name} of face {face} must be a length above 0, got {lengths_px[face]:g} px; "
            "leave the face out or normalise otherwise"
        )
