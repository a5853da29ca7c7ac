"""A ``.pts`` file: the landmarks of one face, as text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.datasets.annotation_line import check_face
from facealign.datasets.layout import read_lines
from facealign.errors import DatasetError

__all__ = ["read_pts"]

_FIRST_PIXEL = 1  # of iBUG's files, which follow MATLAB
_COUNT = re.compile(r"n_points\s*:\s*(\d+)", re.IGNORECASE)


def read_pts(path: Path, landmark_count: int) -> NDArray[np.float64]:
    """Return the landmarks, brought from a count of pixels from 1 to one from 0.

    Args:
        path: ``version: 1``, ``n_points: N``, and between braces one ``x y`` a line.
        landmark_count: N that it must have.

    Returns:
        ``(N, 2)`` float64 ``(x, y)``, frame pixels counted from 0, finite.

    Raises:
        DatasetError: If the file is broken or has another number of landmarks.

    Source: iBUG's page of the 300-W annotations: they are saved in the MATLAB convention, where the
        upper left pixel of an image is x=1, y=1. Menpo's importer subtracts 1 too.
    """
    lines = read_lines(path)
    start, end = _braces(lines, path)
    _check_count(lines[:start], landmark_count, path)
    rows = [
        _row(line, f"`{path}`, line {number}")
        for number, line in enumerate(lines[start + 1 : end], start=start + 2)
        if line.strip()
    ]
    if len(rows) != landmark_count:
        raise DatasetError(
            f"`{path}` holds {len(rows)} landmarks (expected {landmark_count}); get it again"
        )
    landmarks = np.array(rows) - _FIRST_PIXEL
    check_face(landmarks, f"`{path}`")
    return landmarks


def _braces(lines: list[str], path: Path) -> tuple[int, int]:
    """Return the indices of the lines that hold the opening and the closing brace."""
    stripped = [line.strip() for line in lines]
    if "{" not in stripped or "}" not in stripped[stripped.index("{") :]:
        raise DatasetError(
            f"`{path}` is no whole .pts file: landmarks stand between a line `{{` and a line `}}`; "
            "get it again"
        )
    start = stripped.index("{")
    return start, stripped.index("}", start)


def _check_count(header: list[str], landmark_count: int, path: Path) -> None:
    said = [int(match[1]) for line in header if (match := _COUNT.search(line))]
    if said and said[0] != landmark_count:
        raise DatasetError(
            f"`{path}` is of {said[0]} landmarks (expected {landmark_count}); "
            "pass a data set of this landmark scheme"
        )


def _row(line: str, place: str) -> list[float]:
    fields = line.split()
    try:
        row = [float(field) for field in fields]
    except ValueError as error:
        raise DatasetError(f"{place}: `{line.strip()}` is not x and y; correct it") from error
    if len(row) != 2:
        raise DatasetError(f"{place}: {len(row)} numbers (expected x and y); correct it")
    return row
