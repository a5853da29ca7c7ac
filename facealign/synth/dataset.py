"""Write a synthetic WFLW: whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facealign.datasets import WFLW_ATTRIBUTES, FaceLine, line_from_face
from facealign.errors import OutputError, UsageError
from facealign.new_folder import hidden_sibling, names_in
from facealign.synth.face import SyntheticFace, check_numbers, synthetic_face

__all__ = ["TEST_LIST", "TRAIN_LIST", "DatasetCounts", "check_free", "write_dataset"]

_LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
TRAIN_LIST = f"{_LISTS}/list_98pt_rect_attr_train.txt"
TEST_LIST = f"{_LISTS}/list_98pt_rect_attr_test.txt"
_IMAGES = "WFLW_images"
_FOLDER_SIZE = 1000  # faces in one folder of images
_BLOCK = 5  # of every five faces in a row, one is for the test: 80/20 at any count
_SPLIT_STREAM = 20  # apart from the streams of faces, which are named by three numbers
_JPEG_QUALITY = 95
_DIGITS = 6  # behind the point


@dataclass(frozen=True, slots=True)
class DatasetCounts:
    """How many faces were written, for training and for the test, and with each attribute."""

    train: int
    test: int
    attributes: dict[str, int]


def write_dataset(
    folder: Path,
    *,
    count: int,
    seed: int,
    size_px: int = 256,
    on_face: Callable[[int], None] = lambda _done: None,
) -> DatasetCounts:
    """Write `count` faces in the layout of WFLW.

    ``WFLW_images/<folder>/<name>.jpg`` and the two lists under ``WFLW_annotations``. Face i depends
    on `seed`, i and `size_px` only, and no person is drawn twice. The same call writes the same
    bytes with the same versions of numpy and OpenCV on the same kind of processor.

    Args:
        folder: Where it will be: nothing yet, or an empty folder. It appears by rename.
        count: 1 or more. Of each five faces in a row, one that the seed chooses is for the test; of
            fewer, there may be none.
        seed: 0 or more.
        size_px: Side of every picture, 64 to 1024.
        on_face: Called after each face with 1.

    Raises:
        UsageError: If a number is out of its range.
        OutputError: If `folder` is not empty, or cannot be written.
    """
    _check_count(count)
    check_numbers(seed, 0, size_px)
    check_free(folder)
    real = Path(os.path.realpath(folder))
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        with hidden_sibling(real) as partial:
            counts = _write(partial, count, seed, size_px, on_face)
            partial.replace(real)
    except OSError as error:
        raise OutputError(
            f"cannot write the data set `{folder}`: {error.strerror or error}; "
            "choose another folder, or make room"
        ) from error
    return counts


def check_free(folder: Path) -> None:
    """Check that a data set may be written to `folder`.

    Raises:
        OutputError: If there is something that is no empty folder.
    """
    if names_in(folder):
        raise OutputError(
            f"`{folder}` is not empty, so it is left alone; choose another folder, or empty it"
        )


def _check_count(count: int) -> None:
    if count < 1:
        raise UsageError(f"count must be 1 or more, got {count}; pass for example `--count 100`")


def _write(
    folder: Path, count: int, seed: int, size_px: int, on_face: Callable[[int], None]
) -> DatasetCounts:
    lines: dict[str, list[str]] = {TRAIN_LIST: [], TEST_LIST: []}
    drawn = np.zeros(len(WFLW_ATTRIBUTES), np.int64)
    for index in range(count):
        face = synthetic_face(seed, index, size_px=size_px)
        name = f"{index // _FOLDER_SIZE}--Synthetic/face_{index:06d}.jpg"
        _write_image(folder / _IMAGES / name, face)
        lines[TEST_LIST if _is_test(seed, index) else TRAIN_LIST].append(_line(face, name))
        drawn += face.attributes.as_numbers()
        on_face(1)
    for name, own_lines in lines.items():
        _write_list(folder / name, own_lines)
    attributes = dict(zip(WFLW_ATTRIBUTES, drawn.tolist(), strict=True))
    return DatasetCounts(len(lines[TRAIN_LIST]), len(lines[TEST_LIST]), attributes)


def _line(face: SyntheticFace, image_name: str) -> str:
    """Return what a list says of a face: 207 words, coordinates with six digits as in WFLW."""
    rounded = [round(number, _DIGITS) for number in face.landmarks.ravel().tolist()]
    flags = zip(WFLW_ATTRIBUTES, face.attributes.as_numbers(), strict=True)
    return line_from_face(
        FaceLine(
            landmarks=np.array(rounded).reshape(-1, 2),
            image_name=image_name,
            box=face.box.astype(np.float64),
            attributes=frozenset(name for name, flag in flags if flag),
        )
    )


def _is_test(seed: int, index: int) -> bool:
    block, place = divmod(index, _BLOCK)
    chosen = np.random.default_rng([seed, block, _SPLIT_STREAM, _BLOCK]).integers(_BLOCK)
    return bool(place == chosen)


def _write_image(path: Path, face: SyntheticFace) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(path.suffix, face.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    path.write_bytes(data.tobytes())


def _write_list(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii", newline="\n")
