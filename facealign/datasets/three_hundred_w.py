"""300W, as iBUG's downloads unpack: 68 landmarks a face in a ``.pts`` file beside each image.

The files count pixels from 1; `read_pts` subtracts 1, so that landmarks count from 0 like those of
the other data sets. There are no boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facealign.datasets.face import AnnotatedFace, Dataset
from facealign.datasets.image import IMAGE_ENDINGS, ImageFile, check_images_exist
from facealign.datasets.layout import Layout, check_layout, check_split, layout_of
from facealign.datasets.pts import read_pts
from facealign.errors import DatasetError
from facealign.spec import FACE68

__all__ = ["THREE_HUNDRED_W_SPLITS", "read_300w", "three_hundred_w_layout"]

# Folders and what a face of each is; the order is that of SPIGA's published annotations.
_FOLDERS = {
    "helen/testset": ("helen", "common"),
    "lfpw/testset": ("lfpw", "common"),
    "ibug": ("ibug", "challenge"),
    "afw": ("afw",),
    "helen/trainset": ("helen",),
    "lfpw/trainset": ("lfpw",),
}
_COMMON = ("helen/testset", "lfpw/testset")
_FULL = (*_COMMON, "ibug")
# Source: Ren et al., CVPR 2014 (LBF), sec. 4: 3148 training faces, and 554 + 135 = 689 of the test.
THREE_HUNDRED_W_SPLITS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "test": _FULL,
    "full": _FULL,
    "common": _COMMON,
    "challenge": ("ibug",),
}
_ADVICE = (
    "unpack iBUG's `afw.zip`, `helen.zip`, `ibug.zip` and `lfpw.zip` side by side in one folder, "
    "and pass that folder"
)


def read_300w(path: Path, *, split: str = "test") -> Dataset:
    """Return the faces of one split of the public 300W; images are checked to be there.

    Args:
        path: The folder that holds ``afw``, ``helen``, ``ibug`` and ``lfpw``, or those of them that
            the split needs; or a folder ``300W`` or ``300w`` that does.
        split: ``"train"``, ``"test"`` (the same as ``"full"``), ``"common"`` or ``"challenge"``.

    Returns:
        A data set whose attributes are the sources of the faces, ``common`` and ``challenge``.

    Raises:
        DatasetError: If the folder is laid out otherwise, a ``.pts`` file is broken, there is none,
            or images are missing (all of them are in the error's `items`).

    Source: Sagonas et al., ICCVW 2013 (300 Faces in-the-Wild), and iBUG's page of its annotations.
    """
    check_split(split, THREE_HUNDRED_W_SPLITS, "300W")
    check_layout(path, three_hundred_w_layout(path, split), advice=_ADVICE)
    root, folders = _root(path), THREE_HUNDRED_W_SPLITS[split]
    images = {pts: _image(pts, root) for folder in folders for pts in _pts_files(root / folder)}
    check_images_exist(
        images.values(),
        owner=f"the .pts files in `{root}`",
        advice="unpack the downloads again, with each image beside its .pts file",
    )
    faces = tuple(_face(pts, image, root) for pts, image in images.items())
    names = tuple(dict.fromkeys(name for folder in folders for name in _FOLDERS[folder]))
    return Dataset("300w", split, FACE68, names, faces)


def three_hundred_w_layout(path: Path, split: str) -> Layout:
    """Return how far the folder is 300W with that split."""
    root = _root(path)
    return layout_of(
        "300W", {name: (root / name).is_dir() for name in THREE_HUNDRED_W_SPLITS[split]}
    )


def _root(path: Path) -> Path:
    nested = (path / name for name in ("300W", "300w"))
    return next((folder for folder in nested if folder.is_dir()), path)


def _pts_files(folder: Path) -> Iterator[Path]:
    """Yield the files in order of their names, but for those that macOS hides beside them."""
    paths = [path for path in folder.glob("*.pts") if not path.name.startswith(".")]
    if not paths:
        raise DatasetError(f"folder `{folder}` holds no .pts file; {_ADVICE}")
    yield from sorted(paths)


def _image(pts: Path, root: Path) -> ImageFile:
    """Return the image of the same stem; where there is none, one that does not exist."""
    candidates = (
        pts.with_name(pts.stem + ending)
        for lower in IMAGE_ENDINGS
        for ending in (lower, lower.upper())
    )
    path = next((path for path in candidates if path.is_file()), pts.with_suffix(".jpg"))
    return ImageFile(path.relative_to(root).as_posix(), path)


def _face(pts: Path, image: ImageFile, root: Path) -> AnnotatedFace:
    attributes = frozenset(_FOLDERS[pts.parent.relative_to(root).as_posix()])
    landmarks = read_pts(pts, FACE68.landmark_count)
    return AnnotatedFace(image, landmarks, attributes=attributes)
