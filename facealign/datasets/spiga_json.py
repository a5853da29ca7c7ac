"""The JSON form that SPIGA's authors publish annotations and results in.

Positions are used as they are. Whether their authors brought 300W's count of pixels from 1 to one
from 0 is not written down; all that is computed from them alone is the same either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from facealign.datasets.annotation_line import check_face
from facealign.datasets.face import AnnotatedFace, Dataset
from facealign.datasets.image import ImageFile, check_images_exist
from facealign.datasets.layout import Layout, layout_of, read_bytes
from facealign.errors import DatasetError
from facealign.spec import scheme_by_count

__all__ = ["read_spiga_json", "spiga_json_layout"]

_INFO = "db_info.json"
_T = TypeVar("_T")


class _Face(msgspec.Struct):
    imgpath: str
    bbox: tuple[float, float, float, float]  # x, y, width, height
    ids: list[int]
    landmarks: list[tuple[float, float]]
    visible: list[float]
    # yaw, pitch and roll in degrees, then a translation
    headpose: tuple[float, float, float, float, float, float] | None = None


class _Info(msgspec.Struct):
    ldm_ids: list[int]
    test_subsets: dict[str, list[int]] = {}


def read_spiga_json(
    path: Path, *, split: str = "test", images: Path | None = None, info: Path | None = None
) -> Dataset:
    """Return the faces of an annotation or result file, in its order.

    Args:
        path: A list of objects with ``imgpath``, ``bbox`` (x, y, width, height), ``ids``,
            ``landmarks``, ``visible`` and perhaps ``headpose``.
        split: What to call it. The subsets of `info` are those of ``"test"``; the faces of any
            other split are in none.
        images: The folder that ``imgpath`` is relative to; all images must be there. Without it
            none is looked for, which suits figures that come from annotations alone.
        info: The authors' ``db_info.json``, which says how landmarks are ordered and which faces
            are in which subset; by default the one beside `path`, if there is one.

    Raises:
        DatasetError: If a file is unreadable or of another form, a face lacks landmarks or has them
            in another order, or images are missing (all of them are in the error's `items`).

    Source: SPEC 8.1, the files of ``data/300wpublic``.
    """
    found = _decoded(path, list[_Face])
    if not found:
        raise DatasetError(f"annotation file `{path}` holds no face; get it again")
    info_path = info or path.with_name(_INFO)
    known = _decoded(info_path, _Info) if info or info_path.is_file() else _Info(found[0].ids)
    groups = known.test_subsets if split == "test" else {}
    subsets = _subsets(groups, len(found), info_path)
    folder = images or path.parent
    faces = tuple(
        _face(
            face, known.ldm_ids, folder, f"annotation file `{path}`, face {index}", subsets[index]
        )
        for index, face in enumerate(found)
    )
    if images is not None:
        check_images_exist(
            (ImageFile(face.imgpath, images / face.imgpath) for face in found),
            owner=f"`{path.name}`",
            advice=f"put the folder of images into `{images}`, as `imgpath` has it",
        )
    scheme = scheme_by_count(len(known.ldm_ids))
    return Dataset(path.absolute().parent.name, split, scheme, tuple(groups), faces)


def spiga_json_layout(path: Path, split: str) -> Layout:
    """Return how far the folder holds annotations in this form, with their ``db_info.json``."""
    name = f"annotations_{split}.json"
    parts = {name: (path / name).is_file(), _INFO: (path / _INFO).is_file()}
    return layout_of("annotations of SPIGA", parts)


def _decoded(path: Path, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(read_bytes(path), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(
            f"`{path}` is no annotation file of SPIGA: {error}; check that it is the right file"
        ) from error


def _subsets(
    groups: Mapping[str, Sequence[int]], face_count: int, path: Path
) -> list[frozenset[str]]:
    """Return the names of the subsets that each face is in."""
    outside = [index for group in groups.values() for index in group if not 0 <= index < face_count]
    if outside:
        raise DatasetError(
            f"`{path}` has a face {outside[0]} in its subsets (expected 0 to {face_count - 1}, "
            "those of the annotation file); pass files of the same release"
        )
    members = {name: set(group) for name, group in groups.items()}
    return [
        frozenset(name for name, group in members.items() if index in group)
        for index in range(face_count)
    ]


def _face(
    face: _Face, ids: Sequence[int], folder: Path, place: str, attributes: frozenset[str]
) -> AnnotatedFace:
    if face.ids != ids or len(face.landmarks) != len(ids):
        raise DatasetError(
            f"{place}: {len(face.landmarks)} landmarks in an order of its own "
            f"(expected the {len(ids)} `ldm_ids`); pass a file in which every face has all"
        )
    if len(face.visible) != len(ids) or set(face.visible) != {1.0}:
        raise DatasetError(
            f"{place}: not all landmarks are `visible` (expected 1 for each, as in 300W); "
            "leave the face out"
        )
    landmarks = np.array(face.landmarks, np.float64)
    check_face(landmarks, place)
    return AnnotatedFace(
        ImageFile(face.imgpath, folder / face.imgpath),
        landmarks,
        box=_box(face, place),
        attributes=attributes,
        pose=None if face.headpose is None else np.array(face.headpose[:3], np.float64),
    )


def _box(face: _Face, place: str) -> NDArray[np.float64]:
    x, y, width, height = face.bbox
    if not width > 0 or not height > 0:
        raise DatasetError(
            f"{place}: `bbox` {face.bbox} has no area (expected x, y, width, height); correct it"
        )
    return np.array([x, y, x + width, y + height])
