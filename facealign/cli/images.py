"""Which images a source has, what their results are called, and their pixels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError

__all__ = ["OVERLAY_ENDING", "image_paths", "read_image", "result_names"]

OVERLAY_ENDING = ".landmarks.png"
_IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def image_paths(source: Path) -> list[Path]:
    """Return the images of a folder in order of their names, or `source` itself.

    Overlays of an earlier run are no images.

    Raises:
        InputError: If the folder has no images, or cannot be looked into.
    """
    if not source.is_dir():
        return [source]
    try:
        paths = sorted(path for path in source.iterdir() if _is_image(path))
    except OSError as error:
        raise InputError(
            f"cannot look into folder `{source}`: {error.strerror}; check its permissions"
        ) from error
    if not paths:
        raise InputError(
            f"folder `{source}` has no images (endings {', '.join(_IMAGE_ENDINGS)}); check the path"
        )
    return paths


def _is_image(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(_IMAGE_ENDINGS) and not name.endswith(OVERLAY_ENDING) and not path.is_dir()


def result_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each image's results: its stem, or the whole name where stems coincide.

    Stems that differ in case only coincide, as some file systems do not tell them apart.
    """
    counts = Counter(path.stem.casefold() for path in paths)
    return [path.stem if counts[path.stem.casefold()] == 1 else path.name for path in paths]


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the image as ``(H, W, 3)`` uint8 BGR, turned as its EXIF entry says.

    Grey becomes three equal channels, alpha is left out, 16 bits become 8.

    Raises:
        InputError: If it cannot be read, or is no whole image.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"cannot read image `{path}`: {error.strerror}; check the path") from error
    frame = _decoded(data) if data.size else None
    if frame is None:
        raise InputError(f"`{path}` is no image that OpenCV can read; check the file")
    return np.asarray(frame, np.uint8)


def _decoded(data: NDArray[np.uint8]) -> object:
    """Return the pixels, or None if OpenCV cannot read them or finds them too many."""
    with _silent_codecs():
        try:
            return cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:
            return None


@contextmanager
def _silent_codecs() -> Iterator[None]:
    """Send what libpng and its like write to file descriptor 2 nowhere: the error is said once."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # no path of the user's
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
