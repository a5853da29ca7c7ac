"""A user's own images with a list of boxes, and no landmarks.

Boxes count pixels from 0, as OpenCV and most detectors do.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np

from facealign.datasets.face import BoxedImage, BoxedImages
from facealign.datasets.image import IMAGE_ENDINGS, ImageFile, check_images_exist
from facealign.datasets.layout import Layout, check_folder, read_bytes, read_lines
from facealign.errors import DatasetError

__all__ = ["folder_layout", "read_boxed_folder"]

_CSV, _JSON = "boxes.csv", "boxes.json"
_NUMBERS = ("x", "y", "w", "h")
_COLUMNS = ("image", *_NUMBERS)
_HOW = (
    f"write `{_CSV}` into it, with the first line `{','.join(_COLUMNS)}` and one face per line: "
    "the image's name, and its box's left, top, width and height in pixels"
)


class _Row(msgspec.Struct):
    image: str
    x: float
    y: float
    w: float
    h: float


def read_boxed_folder(path: Path) -> BoxedImages:
    """Return the faces that the folder's list of boxes names; their images must be there.

    Args:
        path: A folder with ``boxes.csv`` (columns ``image,x,y,w,h`` in any order, others are left
            out) or ``boxes.json`` (a list of objects with these keys). A name is relative to it.

    Raises:
        DatasetError: If there is no list or more than one, it is broken or empty, or images are
            missing (all of them are in the error's `items`).
    """
    check_folder(path)
    lists = [name for name in (_CSV, _JSON) if (path / name).is_file()]
    if not lists:
        raise DatasetError(f"folder `{path}` has {_count(path)} images and no boxes; {_HOW}")
    if len(lists) > 1:
        raise DatasetError(f"folder `{path}` has both `{_CSV}` and `{_JSON}`; keep one of them")
    read = _csv_rows if lists == [_CSV] else _json_rows
    faces = tuple(_face(row, path, place) for row, place in read(path / lists[0]))
    if not faces:
        raise DatasetError(f"`{path / lists[0]}` names no face; {_HOW}")
    check_images_exist(
        (face.image for face in faces),
        owner=f"`{lists[0]}`",
        advice=f"names are relative to `{path}`, so put the images there or correct the names",
    )
    return BoxedImages(path.absolute().name, faces)  # that of `.` is empty


def folder_layout(path: Path) -> Layout:
    """Return how far the folder is one of images with boxes."""
    lists = tuple(name for name in (_CSV, _JSON) if (path / name).is_file())
    count = _count(path)
    return Layout(
        dataset="a folder of boxes",
        found=lists or ((f"images: {count}",) if count else ()),
        missing=() if lists else (_CSV,),
    )


def _count(path: Path) -> int:
    return sum(entry.suffix.lower() in IMAGE_ENDINGS for entry in path.iterdir())


def _csv_rows(path: Path) -> Iterator[tuple[_Row, str]]:
    # Strict: a quote that is never closed would otherwise swallow the faces behind it.
    reader = csv.DictReader(read_lines(path), skipinitialspace=True, strict=True)
    try:
        _check_columns(reader, path)
        for fields in reader:
            place = f"`{path}`, line {reader.line_num}"
            yield _row(fields, place), place
    except csv.Error as error:
        raise DatasetError(
            f"`{path}` is no CSV from line {reader.line_num + 1} on: {error}; "
            "check that every quote is closed"
        ) from error


def _check_columns(reader: csv.DictReader[str], path: Path) -> None:
    missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DatasetError(
            f"`{path}`, line 1: no column {', '.join(f'`{name}`' for name in missing)} "
            f"(found {', '.join(reader.fieldnames or ()) or 'nothing'}); "
            f"begin the file with `{','.join(_COLUMNS)}`"
        )


def _row(fields: Mapping[str, str | None], place: str) -> _Row:
    try:
        x, y, w, h = (float(fields[name] or "") for name in _NUMBERS)
    except ValueError as error:
        raise DatasetError(
            f"{place}: {', '.join(_NUMBERS)} are not all numbers; correct the line"
        ) from error
    return _Row(fields["image"] or "", x, y, w, h)


def _json_rows(path: Path) -> Iterator[tuple[_Row, str]]:
    try:
        rows = msgspec.json.decode(read_bytes(path), type=list[_Row])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(
            f"`{path}` is no list of objects with {', '.join(_COLUMNS)}: {error}; correct it"
        ) from error
    for number, row in enumerate(rows, start=1):
        yield row, f"`{path}`, face {number}"


def _face(row: _Row, folder: Path, place: str) -> BoxedImage:
    numbers = [row.x, row.y, row.w, row.h]
    if not all(map(math.isfinite, numbers)) or not min(row.w, row.h) > 0:
        raise DatasetError(
            f"{place}: box {numbers} has no area; it is left, top, width and height in pixels, "
            "so correct it"
        )
    box = np.array([row.x, row.y, row.x + row.w, row.y + row.h])
    return BoxedImage(ImageFile(row.image, folder / row.image), box)
