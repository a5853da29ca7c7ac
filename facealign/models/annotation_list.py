"""Annotation lists as WFLW has them: one face per line, its landmarks first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError

__all__ = ["faces_from_lines", "faces_in_own_crop", "is_annotation_list"]

_BOX_AND_ATTRIBUTES = 10  # 4 numbers of the box and 6 attributes, between landmarks and name
_SIDE_FACTOR = 1.2  # of the longer side of the landmarks' box; all families cut their crops so


def is_annotation_list(lines: Sequence[str], landmark_count: int) -> bool:
    """Return whether the first line is a face: more than its landmarks, and a name behind them.

    Args:
        lines: Of a text file.
        landmark_count: N.
    """
    fields = next((rest for line in lines if (rest := line.partition("#")[0].split())), [])
    return len(fields) > 2 * landmark_count or (len(fields) > 2 and not _is_number(fields[-1]))


def faces_from_lines(lines: Sequence[str], landmark_count: int, name: str) -> NDArray[np.float64]:
    """Return the landmarks of every line, ``(F, N, 2)`` float64, in pixels of their frames.

    Args:
        lines: Of the list.
        landmark_count: N.
        name: Of the file, for messages.

    Raises:
        AssetError: If a line is no face of so many landmarks, or there is none.
    """
    faces = []
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if fields:
            place = f"annotation list `{name}`, line {number}"
            faces.append(_face(fields, landmark_count, place))
    if not faces:
        raise AssetError(f"annotation list `{name}` holds no face; pass the whole list")
    return np.stack(faces)


def faces_in_own_crop(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(..., N, 2)`` landmarks as a fraction of the crop that their own box gives.

    Args:
        landmarks: ``(..., N, 2)``, any unit.
    """
    low = landmarks.min(axis=-2, keepdims=True)
    high = landmarks.max(axis=-2, keepdims=True)
    side = _SIDE_FACTOR * (high - low).max(axis=-1, keepdims=True)
    fractions: NDArray[np.float64] = (landmarks - (low + high) / 2) / side + 0.5
    return fractions


def _face(fields: Sequence[str], count: int, place: str) -> NDArray[np.float64]:
    bare, full = 2 * count + 1, 2 * count + 1 + _BOX_AND_ATTRIBUTES
    if len(fields) not in {bare, full}:
        raise AssetError(
            f"{place}: {len(fields)} fields (expected {bare}: {count} landmarks and a name, or "
            f"{full}: with box and attributes); pass a whole list of the same landmark scheme"
        )
    try:
        face = np.array([float(field) for field in fields[: 2 * count]]).reshape(count, 2)
    except ValueError as caught:
        raise AssetError(f"{place}: not all coordinates are numbers; correct it") from caught
    if not np.isfinite(face).all() or not np.ptp(face, axis=0).max() > 0:
        raise AssetError(
            f"{place}: its landmarks are not finite, or all in one place (expected a face); "
            "correct it"
        )
    return face


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
