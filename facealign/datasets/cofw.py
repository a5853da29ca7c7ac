"""COFW in colour, as its download unpacks: 29 landmarks and whether each is occluded.

Each split is one MATLAB 7.3 file, which is HDF5, and the images lie in it. Its documentation does
not say from where positions count; they were made in MATLAB and index its images, so they are taken
to count from 1, and 1 is subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.datasets.annotation_line import check_face
from facealign.datasets.face import AnnotatedFace, Dataset
from facealign.datasets.layout import Layout, check_layout, check_split, layout_of
from facealign.errors import DatasetError, InputError, MissingLibraryError
from facealign.spec import COFW29

if TYPE_CHECKING:
    import h5py

__all__ = ["COFW_SPLITS", "StoredImage", "cofw_layout", "read_cofw"]

COFW_SPLITS = {"train": "Tr", "test": "T"}  # what ends the names of a file's variables
_FIRST_PIXEL = 1
_ROWS = 3 * COFW29.landmark_count  # every x, then every y, then every flag
_BROKEN = (KeyError, OSError, RuntimeError, TypeError, ValueError)  # what h5py raises, by the place
_ADVICE = "unpack the official `COFW_color.zip` and pass its folder"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image within a COFW file.

    Attributes:
        name: The file and, behind ``#``, the number of the image in it.
        path: The file.
        variable: The list of images in it.
        index: Of the image in that list, counted from 0.
    """

    name: str
    path: Path
    variable: str
    index: int

    def read(self) -> NDArray[np.uint8]:
        """Return the ``(H, W, 3)`` uint8 BGR frame; a grey image has three equal channels.

        Raises:
            InputError: If the file cannot be read any more, or holds no image there.
            MissingLibraryError: If h5py is not installed.
        """
        try:
            with _open(self.path) as file:
                stored = np.asarray(file[file[self.variable][()].ravel()[self.index]])
        except (*_BROKEN, DatasetError, IndexError) as error:
            raise InputError(f"cannot read image `{self.name}`: {error}; check the file") from error
        # MATLAB stores columns first: (W, H) is grey, (3, W, H) is RGB.
        frame = np.ascontiguousarray(stored.T)
        is_grey_or_rgb = frame.ndim in {2, 3} and frame.shape[2:] in {(), (3,)}
        if frame.dtype != np.uint8 or not is_grey_or_rgb or not frame.size:
            raise InputError(
                f"`{self.name}` is {frame.shape} {frame.dtype} "
                "(expected a grey or RGB image of uint8); get the file again"
            )
        code = cv2.COLOR_GRAY2BGR if frame.ndim == 2 else cv2.COLOR_RGB2BGR
        return np.asarray(cv2.cvtColor(frame, code), np.uint8)


def read_cofw(path: Path, *, split: str = "test") -> Dataset:
    """Return the faces of one split; their images are read later, out of the same file.

    Args:
        path: The folder that holds ``COFW_train_color.mat`` and ``COFW_test_color.mat``, one that
            holds it as ``COFW_color``, or one of these files.
        split: ``"train"`` or ``"test"``.

    Returns:
        Faces with `occluded` flags, and with the file's detection box.

    Raises:
        DatasetError: If the folder is laid out otherwise, or the file is broken or empty.
        MissingLibraryError: If h5py is not installed.

    Source: Burgos-Artizzu et al., ICCV 2013, and the variables of its files: ``Is``, ``bboxes``
        (left, top, width, height) and ``phis``.
    """
    check_split(split, COFW_SPLITS, "COFW")
    if not path.is_file():
        check_layout(path, cofw_layout(path, split), advice=_ADVICE)
    mat_file = path if path.is_file() else _mat_file(path, split)
    variables = {name: f"{name}{COFW_SPLITS[split]}" for name in ("Is", "bboxes", "phis")}
    try:
        phis, bboxes = _matrices(mat_file, variables)
    except _BROKEN as error:
        raise DatasetError(f"`{mat_file}` is broken: {error}; {_ADVICE}") from error
    faces = tuple(
        _face(mat_file, variables["Is"], index, phi, bbox)
        for index, (phi, bbox) in enumerate(zip(phis.T, bboxes.T, strict=True))
    )
    if not faces:
        raise DatasetError(f"`{mat_file}` holds no face; get it again")
    return Dataset("cofw", split, COFW29, (), faces)


def cofw_layout(path: Path, split: str) -> Layout:
    """Return how far the folder is COFW with that split."""
    return layout_of("COFW", {_mat_name(split): _mat_file(path, split).is_file()})


def _mat_name(split: str) -> str:
    return f"COFW_{split}_color.mat"


def _mat_file(path: Path, split: str) -> Path:
    nested = path / "COFW_color" / _mat_name(split)
    return nested if nested.is_file() else path / _mat_name(split)


def _open(path: Path) -> h5py.File:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            f"reading `{path.name}` needs `h5py`, which is not installed; "
            'install it with `pip install "facealign[datasets]"`'
        ) from error
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"`{path}` is no MATLAB 7.3 (HDF5) file: {error}; {_ADVICE}") from error


def _matrices(
    path: Path, variables: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``(87, F)`` landmarks with flags and ``(4, F)`` boxes."""
    with _open(path) as file:
        _check_variables(file, tuple(variables.values()), path)
        count = int(file[variables["Is"]].size)
        phis = _matrix(file, variables["phis"], (_ROWS, count), path)
        return phis, _matrix(file, variables["bboxes"], (4, count), path)


def _check_variables(file: h5py.File, names: tuple[str, ...], path: Path) -> None:
    missing = [name for name in names if not hasattr(file.get(name), "shape")]
    if missing:
        found = ", ".join(f"`{name}`" for name in file) or "nothing"
        raise DatasetError(
            f"`{path}` lacks {', '.join(f'`{name}`' for name in missing)} (found {found}); "
            "is it the file of the other split?"
        )


def _matrix(file: h5py.File, name: str, shape: tuple[int, int], path: Path) -> NDArray[np.float64]:
    matrix = np.asarray(file[name][()])
    if matrix.shape != shape or matrix.dtype.kind not in "iuf":
        raise DatasetError(
            f"`{name}` of `{path}` is {matrix.shape} {matrix.dtype} (expected numbers {shape}, "
            "as HDF5 has MATLAB's columns); get the file again"
        )
    return matrix.astype(np.float64)


def _face(
    path: Path, variable: str, index: int, phi: NDArray[np.float64], bbox: NDArray[np.float64]
) -> AnnotatedFace:
    place = f"`{path}`, face {index + 1}"
    x, y, flags = phi.reshape(3, COFW29.landmark_count)
    landmarks = np.stack([x, y], axis=1) - _FIRST_PIXEL
    check_face(landmarks, place)
    if not np.isin(flags, (0, 1)).all():
        raise DatasetError(f"{place}: its occlusion flags are not all 0 or 1; get the file again")
    left, top, width, height = bbox
    if not np.isfinite(bbox).all() or not min(width, height) > 0:
        raise DatasetError(f"{place}: its box has no area; get the file again")
    box = np.array([left, top, left + width, top + height]) - _FIRST_PIXEL
    image = StoredImage(f"{path.name}#{index + 1}", path, variable, index)
    return AnnotatedFace(image, landmarks, box=box, occluded=flags == 1)
