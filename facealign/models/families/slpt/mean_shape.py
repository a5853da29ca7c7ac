"""SLPT's mean shape: the authors' file, any array of landmarks, or made from WFLW annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facealign.errors import AssetError
from facealign.models.annotation_list import (
    faces_from_lines,
    faces_in_own_crop,
    is_annotation_list,
)
from facealign.models.assets import read_array, read_text_lines
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters

__all__ = ["read_mean_shape"]

_KEY = "init_face"  # of the authors' init_98.npz (SPEC 3.1)
_AUTHORS_CROP_PX = 256  # their file is in pixels of this crop, whatever the network's
_FRACTION_RANGE = (-0.5, 1.5)
_SMALLEST_EXTENT = 0.1  # of the crop; a face has 0.8, and a shape in other units less


def read_mean_shape(path: Path, hyperparameters: SlptHyperparameters) -> NDArray[np.float32]:
    """Return the mean shape, where the first stage looks for the landmarks.

    Args:
        path: The authors' ``.npz``; an ``.npy``, ``.txt``, ``.csv`` or ``.json`` of landmarks, in
            pixels of a 256 crop or as a fraction of the crop (told by range); or an annotation list
            of WFLW, ``list_98pt_rect_attr_train.txt``, whose faces are then averaged.
        hyperparameters: Of the network; gives the number of landmarks.

    Returns:
        ``(N, 2)`` float32 ``(x, y)`` as a fraction of the crop.

    Raises:
        AssetError: If the file is unreadable, has another number of landmarks, or is no face.
    """
    count = hyperparameters.landmark_count
    if path.suffix.lower() == ".txt":
        lines = read_text_lines(path)
        if is_annotation_list(lines, count):
            return _mean_of_faces(faces_from_lines(lines, count, path.name)).astype(np.float32)
    landmarks = _with_two_columns(read_array(path, key=_KEY), count, path.name)
    low, high = _FRACTION_RANGE
    if landmarks.min() < low or landmarks.max() > high:
        landmarks /= _AUTHORS_CROP_PX
    extent = float(np.ptp(landmarks, axis=0).min())
    if landmarks.min() < low or landmarks.max() > high or extent < _SMALLEST_EXTENT:
        raise AssetError(
            f"mean shape `{path.name}` runs from {landmarks.min():.3g} to {landmarks.max():.3g} of "
            "the crop (expected a face: pixels of a 256 crop, or fractions from 0 to 1); convert it"
        )
    return landmarks.astype(np.float32)


def _with_two_columns(array: NDArray[np.float64], count: int, name: str) -> NDArray[np.float64]:
    squeezed = np.squeeze(array)
    if squeezed.shape == (2 * count,):
        return squeezed.reshape(count, 2)
    if squeezed.shape != (count, 2):
        raise AssetError(
            f"mean shape `{name}` has shape {array.shape} (expected ({count}, 2), x and y of each "
            "landmark of this checkpoint); pass the file of the same landmark scheme"
        )
    return squeezed


def _mean_of_faces(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the average of the faces, each in its own crop, put into a crop again.

    The authors' mean shape obeys that rule (SPEC 3.2).
    """
    mean = faces_in_own_crop(faces).mean(axis=0)
    return faces_in_own_crop(mean)
