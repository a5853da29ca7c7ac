"""SPIGA's 3-D face: the authors' text file, or any array of landmarks in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.assets import read_array, read_text_lines
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters

__all__ = ["landmark_labels", "read_face_model"]

_SEPARATOR = "|"
_FIELD_COUNT = 4  # label and three numbers

# The authors label landmarks by place on the face, the same for every landmark set, and list a
# set's labels in its order (`ldm_ids`, SPEC 2.2). Those of the corners of brows, eyes, nose and
# mouth are below 100; every other label is its place in the list plus a constant.
_WFLW_CORNERS = (
    *((16, 24), (33, 1), (35, 2), (37, 3), (42, 4), (44, 5), (46, 6), (54, 17), (55, 16)),
    *((59, 18), (60, 7), (62, 9), (64, 8), (66, 10), (68, 11), (70, 13), (72, 12), (74, 14)),
    *((76, 20), (79, 22), (82, 21), (85, 23)),
)
_IBUG_CORNERS = (
    *((8, 24), (17, 1), (19, 2), (21, 3), (22, 4), (24, 5), (26, 6), (30, 17), (31, 16)),
    *((35, 18), (36, 7), (39, 8), (42, 11), (45, 12), (48, 20), (51, 22), (54, 21), (57, 23)),
)
_NUMBERING: Mapping[int, tuple[int, Mapping[int, int]]] = MappingProxyType(
    {98: (100, dict(_WFLW_CORNERS)), 68: (101, dict(_IBUG_CORNERS))}
)


def read_face_model(path: Path, hyperparameters: SpigaHyperparameters) -> NDArray[np.float32]:
    """Return the landmarks of the 3-D face that the pose puts into the crop.

    Args:
        path: The authors' ``mean_face_3D_98.txt`` or ``mean_face_3D_68.txt``, with lines of
            ``label|a|b|c``; or an ``.npy``, ``.npz``, ``.json``, ``.txt`` or ``.csv`` of ``(N, 3)``
            world points that are in the order of the landmarks already.
        hyperparameters: Of the network; gives the number of landmarks.

    Returns:
        ``(N, 3)`` float32 world points, in units of the face: with a pose of zeros x is towards the
        camera, -y to the right of the image and z down. A line of the authors is ``(c, -a, -b)``.

    Raises:
        AssetError: If the file is unreadable, has other landmarks, or is no face.
    """
    count = hyperparameters.landmark_count
    lines = read_text_lines(path) if path.suffix.lower() == ".txt" else []
    if any(_SEPARATOR in line for line in lines):
        by_label = _points_by_label(lines, path.name)
        a, b, c = _in_order(by_label, count, path.name).T
        points = np.stack([c, -a, -b], axis=1)
    else:
        points = read_array(path)
        if points.shape != (count, 3):
            raise AssetError(
                f"face model `{path.name}` has shape {points.shape} (expected ({count}, 3), a "
                "world point of each landmark of this checkpoint); pass the file of the same "
                "landmark set"
            )
    if not np.ptp(points, axis=0).max() > 0:
        raise AssetError(
            f"face model `{path.name}` has all landmarks in one place (expected a face); get it "
            "again"
        )
    return points.astype(np.float32)


def landmark_labels(landmark_count: int) -> tuple[int, ...]:
    """Return the authors' labels of a landmark set in its order, or none if it is not known here.

    Args:
        landmark_count: 98 for WFLW, 68 for 300W and the sets that share its landmarks.
    """
    if landmark_count not in _NUMBERING:
        return ()
    first, corners = _NUMBERING[landmark_count]
    return tuple(corners.get(index, first + index) for index in range(landmark_count))


def _points_by_label(lines: Sequence[str], name: str) -> dict[int, tuple[float, ...]]:
    points: dict[int, tuple[float, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"face model `{name}`, line {number}"
        label, point = _labelled_point(line, place)
        if label in points:
            raise AssetError(
                f"{place}: label {label} is there twice (expected once); remove one of the lines"
            )
        points[label] = point
    return points


def _labelled_point(line: str, place: str) -> tuple[int, tuple[float, ...]]:
    fields = line.split(_SEPARATOR)
    if len(fields) != _FIELD_COUNT:
        raise AssetError(
            f"{place}: {len(fields)} fields (expected {_FIELD_COUNT}: label|a|b|c); correct it"
        )
    try:
        label, point = int(fields[0]), tuple(float(field) for field in fields[1:])
    except ValueError as caught:
        raise AssetError(
            f"{place}: not all fields are numbers ({line.strip()[:40]!r}); correct it"
        ) from caught
    if not all(map(math.isfinite, point)):
        raise AssetError(f"{place}: its point is not finite (expected three numbers); correct it")
    return label, point


def _in_order(
    by_label: Mapping[int, tuple[float, ...]], count: int, name: str
) -> NDArray[np.float64]:
    """Return the points in the order of the landmark set, ``(N, 3)``."""
    labels = landmark_labels(count)
    if not labels:
        known = " and ".join(str(each) for each in _NUMBERING)
        raise AssetError(
            f"face model `{name}` names landmarks by label, whose order is known for {known} "
            f"landmarks only (the checkpoint has {count}); pass an .npy of ({count}, 3) world "
            "points, (c, -a, -b) of each line, in the order of the landmarks"
        )
    missing = sorted(set(labels) - set(by_label))
    surplus = sorted(set(by_label) - set(labels))
    if missing or surplus:
        raise AssetError(
            f"face model `{name}` has {len(by_label)} landmarks, of which {len(surplus)} are not "
            f"among the checkpoint's {count}{_shown(surplus)}, and lacks {len(missing)}"
            f"{_shown(missing)}; pass mean_face_3D_{count}.txt"
        )
    return np.array([by_label[label] for label in labels])


def _shown(labels: Sequence[int]) -> str:
    return f" (the first is {labels[0]})" if labels else ""
