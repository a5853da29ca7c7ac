"""Small data sets of made-up faces, each in an image of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.datasets import FaceLine, line_from_face

__all__ = ["BOX", "HEIGHT_PX", "MARKED", "WIDTH_PX", "write_300w", "write_boxed", "write_wflw"]

WIDTH_PX, HEIGHT_PX = 96, 80
BOX = np.array([20.0, 14.0, 76.0, 68.0])
MARKED = 54  # the landmark under a white spot, if there is one
_LISTS = Path("WFLW_annotations", "list_98pt_rect_attr_train_test")


def write_wflw(folder: Path, *, train: int = 14, test: int = 12, is_marked: bool = False) -> Path:
    """Write a WFLW of 98 landmarks; every other face has `pose`, the first of a split has `blur`.

    Args:
        folder: New.
        train: Faces to train on.
        test: Faces to test on.
        is_marked: Frames are black, but for a white spot at landmark `MARKED`.
    """
    (folder / "WFLW_images").mkdir(parents=True)
    (folder / _LISTS).mkdir(parents=True)
    for split, count, seed in (("train", train, 1), ("test", test, 2)):
        lines = []
        rng = np.random.default_rng(seed)
        for index in range(count):
            landmarks = _landmarks(rng)
            frame = _spot(landmarks[MARKED]) if is_marked else _frame(rng)
            name = f"{split}{index}.png"
            cv2.imwrite(str(folder / "WFLW_images" / name), frame)
            attributes = {"pose": index % 2 == 0, "blur": index == 0}
            labels = frozenset(label for label, is_there in attributes.items() if is_there)
            lines.append(line_from_face(FaceLine(landmarks, name, BOX + index % 3, labels)))
        (folder / _LISTS / f"list_98pt_rect_attr_{split}.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_300w(folder: Path, *, count: int = 4) -> Path:
    """Write a 300W with `count` faces in each of its six parts, and no box."""
    rng = np.random.default_rng(4)
    for part in ("afw", "helen/trainset", "helen/testset", "lfpw/trainset", "lfpw/testset", "ibug"):
        (folder / part).mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(str(folder / part / f"{index}.png"), _frame(rng))
            text = "".join(f"{x:.6f} {y:.6f}\n" for x, y in _landmarks(rng)[:68])
            (folder / part / f"{index}.pts").write_text(f"n_points: 68\n{{\n{text}}}\n")
    return folder


def write_boxed(folder: Path, *, count: int = 40) -> Path:
    """Write a folder of images with `boxes.csv`, one face each."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    rows = ["image,x,y,w,h"]
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), _frame(rng))
        x0, y0, x1, y1 = BOX + index % 3
        rows.append(f"{index}.png,{x0},{y0},{x1 - x0},{y1 - y0}")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


def _landmarks(rng: np.random.Generator) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 98, endpoint=False)
    ring = np.stack([48 + 22 * np.cos(angle), 41 + 20 * np.sin(angle)], axis=1)
    return np.asarray(ring + rng.normal(0, 1.5, ring.shape), np.float64)


def _frame(rng: np.random.Generator) -> NDArray[np.uint8]:
    noise = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
    resized = cv2.resize(noise, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _spot(centre: NDArray[np.float64]) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    squares = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2
    grey = (255 * np.exp(-squares / (2 * 1.5**2))).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
