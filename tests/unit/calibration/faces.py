"""Faces to choose from and to crop: few pixels, many labels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facealign.datasets import AnnotatedFace, BoxedImage, CropRule, CropSource, ImageFile
from facealign.spec import CropSpec, SquareRule

__all__ = ["HEIGHT_PX", "NAMES", "SPEC", "WIDTH_PX", "boxed_face", "face", "image_file", "rule"]

WIDTH_PX, HEIGHT_PX = 40, 30
NAMES = ("pose", "blur", "makeup")
SPEC = CropSpec(8, SquareRule(1.0, "exact"), SquareRule(1.5, "exact"))
LANDMARKS = np.array([[10.0, 8.0], [22.0, 8.0], [16.0, 20.0]])


def rule(source: CropSource) -> CropRule:
    return CropRule(SPEC, source)


def image_file(folder: Path, name: str, *, grey: int) -> ImageFile:
    """Write a picture that grows lighter to the right, from `grey` on."""
    frame = np.full((HEIGHT_PX, WIDTH_PX, 3), grey, np.uint8)
    frame += (2 * np.arange(WIDTH_PX, dtype=np.uint8))[:, None]
    cv2.imwrite(str(folder / name), frame)
    return ImageFile(name, folder / name)


def face(
    image: ImageFile, *attributes: str, shift: float = 0.0, has_box: bool = True
) -> AnnotatedFace:
    """Return a face of three landmarks, with a box of 16 px around them."""
    box = np.array([8.0, 6.0, 24.0, 22.0]) + shift
    return AnnotatedFace(image, LANDMARKS + shift, box if has_box else None, frozenset(attributes))


def boxed_face(image: ImageFile, *, shift: float = 0.0) -> BoxedImage:
    return BoxedImage(image, np.array([8.0, 6.0, 24.0, 22.0]) + shift)
