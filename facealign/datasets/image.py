"""Where the pixels of a face come from, and how they are read."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import DatasetError, InputError, first_of

__all__ = ["IMAGE_ENDINGS", "FaceImage", "ImageFile", "check_images_exist", "read_image"]

IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
# The descriptor is the process's: a second thread would keep the first one's nowhere, and bring it
# back for good.
_stderr = threading.Lock()
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
# Of a segment: compressed data have 00 or the number of a restart behind FF. Source: ITU-T T.81.
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


class FaceImage(Protocol):
    """The image of a face: a file of its own, or a part of a larger one."""

    @property
    def name(self) -> str:
        """What the data set calls it; two faces of one image have the same."""

    def read(self) -> NDArray[np.uint8]:
        """Return the ``(H, W, 3)`` uint8 BGR frame; raise `InputError` if it cannot be read."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that is a file.

    Attributes:
        name: As the data set writes it, relative to its folder of images.
        path: Where it is.
    """

    name: str
    path: Path

    def read(self) -> NDArray[np.uint8]:
        """Return the ``(H, W, 3)`` uint8 BGR frame.

        Raises:
            InputError: If the file cannot be read, or is no whole image.
        """
        return read_image(self.path)


def check_images_exist(images: Iterable[FaceImage], *, owner: str, advice: str) -> None:
    """Check that every image that is a file of its own is there; none is opened.

    Args:
        images: Each is counted once, however many faces it has.
        owner: What names them, for the message.
        advice: What to do.

    Raises:
        DatasetError: If some are missing; its `items` are the paths of all of them.
    """
    by_path = {image.path: image.name for image in images if isinstance(image, ImageFile)}
    missing = {path: name for path, name in by_path.items() if not _is_file(path)}
    if missing:
        raise DatasetError(
            f"{len(missing)} of the {len(by_path)} images of {owner} are missing "
            f"({first_of(list(missing.values()))}); {advice}",
            items=[str(path) for path in missing],
        )


def _is_file(path: Path) -> bool:
    """Return whether it is there; what a system says of a name that is too long is a no as well."""
    try:
        return path.is_file()
    except OSError:
        return False


def read_image(path: Path) -> NDArray[np.uint8]:
    """Return the image as ``(H, W, 3)`` uint8 BGR, turned as its EXIF entry says.

    Grey becomes three equal channels, alpha is left out, 16 bits become 8.

    Raises:
        InputError: If it cannot be read, or is no whole image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image `{path}`: {error.strerror}; check the path") from error
    # OpenCV 4 gives a JPEG that breaks off with grey, or what it likes, for the rest.
    frame = _decoded(data) if data and not _is_cut_jpeg(data) else None
    if frame is None:
        raise InputError(f"`{path}` is no image that OpenCV can read; check the file")
    return np.asarray(frame, np.uint8)


def _is_cut_jpeg(data: bytes) -> bool:
    """Return whether it begins as a JPEG and breaks off before its end-of-image marker."""
    if not data.startswith(_JPEG_START):
        return False
    at = len(_JPEG_START)
    while marker := _JPEG_MARKER.search(data, at):
        if marker[0] == _JPEG_END:
            return False
        # Jumped over, as a segment of EXIF holds a small JPEG with markers of its own.
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return True


def _decoded(data: bytes) -> object:
    """Return the pixels, or None if OpenCV cannot read them or finds them too many."""
    with _silent_codecs():
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            return None


@contextmanager
def _silent_codecs() -> Iterator[None]:
    """Send what libpng and its like write to file descriptor 2 nowhere: the error is said once."""
    with _stderr:
        kept = os.dup(2)
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # no path of the user's
            os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
