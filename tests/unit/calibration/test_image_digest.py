from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration.image_digest import image_sha256
from facealign.datasets import ImageFile
from facealign.errors import InputError


class Stored:
    """An image that is no file of its own."""

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        self.name = "all.mat#1"
        self._frame = frame

    def read(self) -> NDArray[np.uint8]:
        return self._frame


def test_image_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"picture")

    found = image_sha256(ImageFile("a.png", tmp_path / "a.png"))

    assert found == hashlib.sha256(b"picture").hexdigest()


def test_image_sha256_of_a_stored_image_tells_pixels_apart() -> None:
    frame = np.zeros((4, 6, 3), np.uint8)

    digests = {image_sha256(Stored(each)) for each in (frame, frame + 1, frame, frame[:, :4])}

    assert len(digests) == 3


def test_image_sha256_of_a_stored_image_tells_shapes_apart() -> None:
    frame = np.zeros((4, 6, 3), np.uint8)

    assert image_sha256(Stored(frame)) != image_sha256(Stored(frame.reshape(6, 4, 3)))


def test_image_sha256_refuses_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read image `.*a\.png`: No such file.*; check"):
        image_sha256(ImageFile("a.png", tmp_path / "a.png"))
