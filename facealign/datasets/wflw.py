"""WFLW, as its official downloads unpack: 98 landmarks, a box and six attributes a face.

Coordinates count from 0 and are used as they are: so does the code of the networks that were
trained on them (SPEC 2.2, 3.2). The box is the list's detection rectangle, which need not hold all
landmarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from facealign.datasets.annotation_line import WFLW_ATTRIBUTES, face_from_line
from facealign.datasets.face import AnnotatedFace, Dataset
from facealign.datasets.image import ImageFile, check_images_exist
from facealign.datasets.layout import (
    Layout,
    check_layout,
    check_split,
    first_folder,
    layout_of,
    read_lines,
)
from facealign.errors import DatasetError
from facealign.spec import WFLW98

__all__ = ["WFLW_SPLITS", "read_wflw", "wflw_layout"]

WFLW_SPLITS = ("train", "test")
_IMAGES = "WFLW_images"
_ANNOTATIONS = "WFLW_annotations"
_LISTS = "list_98pt_rect_attr_train_test"
_ADVICE = (
    "unpack the official `WFLW_images.tar.gz` and `WFLW_annotations.tar.gz` side by side in one "
    "folder, and pass that folder"
)


def read_wflw(path: Path, *, split: str = "test") -> Dataset:
    """Return the faces of one split; images are checked to be there, and read later.

    Args:
        path: The folder that holds ``WFLW_images`` and ``WFLW_annotations``, or a folder ``WFLW``
            that does. Either may lie in a folder of its own name, as some unpackers leave it.
        split: ``"train"`` or ``"test"``.

    Raises:
        DatasetError: If the folder is laid out otherwise, a line is broken, the list is empty, or
            images are missing (all of them are in the error's `items`).

    Source: https://wywu.github.io/projects/LAB/WFLW.html: each line has the coordinates of 98
        landmarks (196), of the upper left and lower right corner of the detection rectangle (4),
        attributes (6: pose, expression, illumination, make-up, occlusion, blur) and a name (1).
    """
    check_split(split, WFLW_SPLITS, "WFLW")
    check_layout(path, wflw_layout(path, split), advice=_ADVICE)
    root = _root(path)
    images, list_file = _images(root), _list_file(root, split)
    faces = tuple(_faces(list_file, images))
    if not faces:
        raise DatasetError(f"annotation list `{list_file}` holds no face; unpack it again")
    check_images_exist(
        (face.image for face in faces),
        owner=f"`{list_file.name}`",
        advice=f"unpack `WFLW_images.tar.gz` beside `{_ANNOTATIONS}` again",
    )
    return Dataset("wflw", split, WFLW98, WFLW_ATTRIBUTES, faces)


def wflw_layout(path: Path, split: str) -> Layout:
    """Return how far the folder is WFLW with that split."""
    root = _root(path)
    list_name = f"{_ANNOTATIONS}/{_LISTS}/{_list_name(split)}"
    parts = {_IMAGES: _images(root).is_dir(), list_name: _list_file(root, split).is_file()}
    if not parts[list_name]:
        parts = {_IMAGES: parts[_IMAGES], _ANNOTATIONS: _lists(root).is_dir(), list_name: False}
    return layout_of("WFLW", parts)


def _faces(list_file: Path, images: Path) -> Iterator[AnnotatedFace]:
    for number, text in enumerate(read_lines(list_file), start=1):
        if text.strip():
            place = f"annotation list `{list_file}`, line {number}"
            line = face_from_line(text, WFLW98.landmark_count, place=place)
            image = ImageFile(line.image_name, images / line.image_name)
            yield AnnotatedFace(image, line.landmarks, line.box, line.attributes)


def _root(path: Path) -> Path:
    nested = path / "WFLW"
    return nested if nested.is_dir() and not (path / _IMAGES).is_dir() else path


def _images(root: Path) -> Path:
    outer = root / _IMAGES
    return first_folder([outer / _IMAGES]) or outer


def _lists(root: Path) -> Path:
    outer = root / _ANNOTATIONS
    return first_folder([outer / _ANNOTATIONS / _LISTS, outer / _LISTS, root / _LISTS]) or outer


def _list_file(root: Path, split: str) -> Path:
    return _lists(root) / _list_name(split)


def _list_name(split: str) -> str:
    return f"list_98pt_rect_attr_{split}.txt"
