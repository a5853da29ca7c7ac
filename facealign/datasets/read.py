"""Find out which data set a folder is, and read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facealign.datasets.cofw import COFW_SPLITS, cofw_layout, read_cofw
from facealign.datasets.face import BoxedImages, Dataset
from facealign.datasets.folder import folder_layout, read_boxed_folder
from facealign.datasets.layout import Layout, check_folder
from facealign.datasets.spiga_json import read_spiga_json, spiga_json_layout
from facealign.datasets.three_hundred_w import (
    THREE_HUNDRED_W_SPLITS,
    read_300w,
    three_hundred_w_layout,
)
from facealign.datasets.wflw import WFLW_SPLITS, read_wflw, wflw_layout
from facealign.errors import DatasetError

__all__ = ["read_dataset"]

_DEFAULT_SPLIT = "test"


class _Reader(Protocol):
    def __call__(self, path: Path, *, split: str) -> Dataset: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    splits: Iterable[str]
    layout: Callable[[Path, str], Layout]
    read: _Reader


def _read_spiga_folder(path: Path, *, split: str) -> Dataset:
    return read_spiga_json(path / f"annotations_{split}.json", split=split, images=path)


_KINDS = (
    _Kind(WFLW_SPLITS, wflw_layout, read_wflw),
    _Kind(THREE_HUNDRED_W_SPLITS, three_hundred_w_layout, read_300w),
    _Kind(COFW_SPLITS, cofw_layout, read_cofw),
    _Kind(("train", "test"), spiga_json_layout, _read_spiga_folder),
)


def read_dataset(path: Path, *, split: str | None = None) -> Dataset | BoxedImages:
    """Return the faces of a folder, whichever of the known data sets it is.

    Args:
        path: A folder of WFLW, 300W, COFW, of annotations as SPIGA's authors publish them, or of
            images with ``boxes.csv`` or ``boxes.json``.
        split: Of the data set; by default ``"test"``. A folder of boxes has none.

    Raises:
        DatasetError: If the folder is none of these or more than one (the message says what each
            would need), has no such split, or is broken.
        MissingLibraryError: If it is COFW and h5py is not installed.
    """
    check_folder(path)
    wanted = split or _DEFAULT_SPLIT
    kinds = _kinds_with(wanted)
    layouts = [kind.layout(path, wanted) for kind in kinds]
    boxes = folder_layout(path)
    whole = [layout.dataset for layout in (*layouts, boxes) if layout.is_whole]
    if not whole:
        raise DatasetError(_near_misses(path, wanted, [*layouts, boxes]))
    if len(whole) > 1:
        raise DatasetError(
            f"folder `{path}` is {' and '.join(whole)} at once; pass a folder that holds one"
        )
    if not boxes.is_whole:
        kind = next(k for k, layout in zip(kinds, layouts, strict=True) if layout.is_whole)
        return kind.read(path, split=wanted)
    if split is not None:
        raise DatasetError(
            f"folder `{path}` is a list of boxes, which has no split {split!r}; leave it out"
        )
    return read_boxed_folder(path)


def _kinds_with(split: str) -> list[_Kind]:
    kinds = [kind for kind in _KINDS if split in kind.splits]
    if not kinds:
        known = dict.fromkeys(name for kind in _KINDS for name in kind.splits)
        raise DatasetError(f"no data set has a split {split!r}; choose one of {', '.join(known)}")
    return kinds


def _near_misses(path: Path, split: str, layouts: Iterable[Layout]) -> str:
    """Return what each data set would need, those first of which something is there."""
    ordered = sorted(layouts, key=lambda layout: not layout.found)
    parts = []
    for layout in ordered:
        found = (
            f" (found {', '.join(f'`{part}`' for part in layout.found)})" if layout.found else ""
        )
        missing = ", ".join(f"`{part}`" for part in layout.missing)
        parts.append(f"{layout.dataset} lacks {missing}{found}")
    return (
        f"folder `{path}` is no data set with a split {split!r} that is known: "
        f"{'; '.join(parts)}; check the path"
    )
