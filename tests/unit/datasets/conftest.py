"""Small folders, laid out as the data sets' own pages describe them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets import FaceLine, line_from_face
from tests.unit.datasets.official import LISTS, MEETING, PARADE, WriteImage, pts_text


@pytest.fixture
def frame() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.fixture
def write_image(frame: NDArray[np.uint8]) -> WriteImage:
    def write(path: Path) -> NDArray[np.uint8]:
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), frame)
        return frame

    return write


@pytest.fixture
def landmarks() -> NDArray[np.float64]:
    """Return ``(98, 2)`` landmarks with six digits behind the point, as WFLW's have."""
    return np.round(np.random.default_rng(1).uniform(-3, 500, (98, 2)), 6)


@pytest.fixture
def wflw_lines(landmarks: NDArray[np.float64]) -> list[str]:
    """Return three faces, two of them in one image."""
    boxes = np.array([[10, 20, 110, 140], [1, 2, 3, 4], [0, 0, 9, 9]], np.float64)
    return [
        line_from_face(FaceLine(landmarks, PARADE, boxes[0], frozenset({"pose", "blur"}))),
        line_from_face(FaceLine(landmarks + 1, PARADE, boxes[1])),
        line_from_face(FaceLine(landmarks + 2, MEETING, boxes[2], frozenset({"makeup"}))),
    ]


@pytest.fixture
def wflw(tmp_path: Path, wflw_lines: list[str], write_image: WriteImage) -> Path:
    """Return an official folder: two faces to train on, all three to test with."""
    folder = tmp_path / "data"
    (folder / LISTS).mkdir(parents=True)
    for split, lines in {"train": wflw_lines[:2], "test": wflw_lines}.items():
        path = folder / LISTS / f"list_98pt_rect_attr_{split}.txt"
        path.write_text("\n".join(lines) + "\n")
    write_image(folder / "WFLW_images" / PARADE)
    write_image(folder / "WFLW_images" / MEETING)
    return folder


@pytest.fixture
def three_hundred_w(tmp_path: Path, write_image: WriteImage) -> Path:
    """Return an official folder with one face in each part; their first x is 1, 2 .. 6."""
    folder = tmp_path / "ibug_300w"
    names = {
        "afw/1051618982_1.jpg": 1,
        "helen/trainset/10405146_1.jpg": 2,
        "helen/testset/296961468_1.jpg": 3,
        "lfpw/trainset/image_0001.png": 4,
        "lfpw/testset/image_0001.png": 5,
        "ibug/image_092 _01.jpg": 6,
    }
    for name, first in names.items():
        write_image(folder / name)
        (folder / name).with_suffix(".pts").write_text(pts_text(first))
    return folder
