"""What an image is, whatever it is called."""

from __future__ import annotations

import hashlib

from facealign.datasets import FaceImage, ImageFile
from facealign.errors import InputError

__all__ = ["image_sha256"]


def image_sha256(image: FaceImage) -> str:
    """Return the SHA-256, in lower-case hex, of the file's bytes.

    An image that is a part of a larger file, as those of COFW are, gives that of its shape and
    pixels instead. So two copies of a file are one image; the same picture saved twice is not.

    Raises:
        InputError: If it cannot be read.
    """
    if not isinstance(image, ImageFile):
        frame = image.read()
        return hashlib.sha256(repr(frame.shape).encode() + frame.tobytes()).hexdigest()
    try:
        return hashlib.sha256(image.path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"cannot read image `{image.path}`: {error.strerror}; check the path"
        ) from error
