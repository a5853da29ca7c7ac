"""Annotation lists as WFLW has them: one face per line, its landmarks first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facealign.datasets import face_from_line
from facealign.errors import AssetError, DatasetError

__all__ = ["faces_from_lines", "faces_in_own_crop", "is_annotation_list"]

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
        if line.strip():
            place = f"annotation list `{name}`, line {number}"
            faces.append(_landmarks(line, landmark_count, place))
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


def _landmarks(line: str, count: int, place: str) -> NDArray[np.float64]:
    """Return the landmarks of a line; what is wrong with it is wrong with a side file here."""
    try:
        # Some lists have a dummy for a box, which does not matter here.
        face = face_from_line(line, count, place=place, may_be_bare=True, may_lack_box=True)
    except DatasetError as error:
        raise AssetError(str(error)) from error
    return face.landmarks


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
