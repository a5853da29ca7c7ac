"""The crops of the parity check: a real face in many guises, and pictures made to break graphs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["NamedCrop", "face_boxes", "face_frame", "parity_crops"]

Pixels = NDArray[np.uint8]

_SEED = 20260
# Eileen Collins, NASA 1993, public domain; the face box is drawn by hand.
_FACE_FILE = "face.png"
_FACE_BOX = (64.0, 56.0, 160.0, 170.0)


@dataclass(frozen=True, slots=True)
class NamedCrop:
    """One crop, ``(S, S, 3)`` uint8 BGR, and what it shows."""

    name: str
    pixels: Pixels


@cache
def face_frame() -> Pixels:
    """Return a photograph of one face, ``(H, W, 3)`` uint8 BGR; do not write into it."""
    data = resources.files("facealign.export").joinpath(_FACE_FILE).read_bytes()
    frame = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    frame.flags.writeable = False
    return frame


def face_boxes() -> NDArray[np.float64]:
    """Return three boxes in `face_frame`: its face, a smaller one, and one across the border.

    Returns:
        ``(3, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels.
    """
    x0, y0, x1, y1 = _FACE_BOX
    return np.array(
        [
            _FACE_BOX,
            (x0 + 20.3, y0 + 30.7, x1 - 9.6, y1 - 12.4),
            (x0 + 90, y0 + 80, x1 + 90, y1 + 90),
        ]
    )


def parity_crops(size_px: int) -> tuple[NamedCrop, ...]:
    """Return 72 different crops of that size; the same ones on every call.

    Args:
        size_px: Side of the crop.
    """
    rng = np.random.default_rng(_SEED)
    makers = (_faces, _flat, _saturated, _gradients, _noise, _waves)
    named = [crop for maker in makers for crop in maker(size_px, rng)]
    # Interleaved, so that the neighbours in a batch differ as much as they can.
    order = np.random.default_rng(_SEED).permutation(len(named))
    return tuple(NamedCrop(*named[int(index)]) for index in order)


def _faces(size_px: int, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    for angle in (-60, -30, -15, 0, 15, 30, 60, 180):
        yield f"face rotated {angle}", _face(size_px, angle=angle)
    for zoom in (0.5, 0.75, 1.5, 3.0):
        yield f"face zoomed {zoom}", _face(size_px, zoom=zoom)
    for shift in ((0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5), (0.5, 0.5), (-0.9, 0.4)):
        yield f"face at the border {shift}", _face(size_px, shift=shift)
    face = _face(size_px)
    yield "face mirrored", face[:, ::-1]
    yield "face grey", np.repeat(face.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8)
    yield "face dark", (face * 0.15).astype(np.uint8)
    yield "face bright", np.clip(face * 2.5, 0, 255).astype(np.uint8)
    yield "face blurred", np.asarray(cv2.GaussianBlur(face, (0, 0), size_px / 32), np.uint8)
    yield "face in red and blue exchanged", face[..., ::-1]
    noise = rng.normal(0, 25, face.shape)
    yield "face in noise", np.clip(face + noise, 0, 255).astype(np.uint8)
    half = face.copy()
    half[:, size_px // 2 :] = 0
    yield "face half covered", half


def _face(
    size_px: int,
    *,
    angle: float = 0,
    zoom: float = 1,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Pixels:
    """Return the face turned by degrees, enlarged, and moved by fractions of the crop."""
    x0, y0, x1, y1 = _FACE_BOX
    scale = zoom * size_px / (1.2 * max(x1 - x0, y1 - y0))
    matrix = cv2.getRotationMatrix2D(((x0 + x1) / 2, (y0 + y1) / 2), angle, scale)
    matrix[:, 2] += (
        size_px / 2 - np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + np.array(shift) * size_px
    )
    return np.asarray(cv2.warpAffine(face_frame(), matrix, (size_px, size_px)), np.uint8)


def _flat(size_px: int, _: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    for colour in (
        (0, 0, 0),
        (128, 128, 128),
        (255, 255, 255),
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
    ):
        yield f"flat {colour}", np.full((size_px, size_px, 3), colour, np.uint8)


def _saturated(size_px: int, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    row, column = np.mgrid[0:size_px, 0:size_px]
    for cell in (1, 2, 8, 32):
        board = ((row // cell + column // cell) % 2 * 255).astype(np.uint8)
        yield f"chequered {cell}", np.repeat(board[..., None], 3, axis=-1)
    threshold = (_face(size_px) > 127).astype(np.uint8) * 255
    yield "face of two levels", threshold
    yield "salt and pepper", (rng.integers(0, 2, (size_px, size_px, 3)) * 255).astype(np.uint8)


def _gradients(size_px: int, _: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    ramp = np.linspace(0, 255, size_px).astype(np.uint8)
    across = np.repeat(np.tile(ramp, (size_px, 1))[..., None], 3, axis=-1)
    yield "ramp in x", across
    yield "ramp in y", across.transpose(1, 0, 2)
    yield "ramp in x, falling", across[:, ::-1]
    for name, row, column in (
        ("top left", 0, 0),
        ("bottom right", -1, -1),
        ("middle", size_px // 2, size_px // 2),
    ):
        dot = np.zeros((size_px, size_px, 3), np.uint8)
        dot[row, column] = 255
        yield f"one bright pixel {name}", dot


def _noise(size_px: int, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    for number in range(8):
        yield f"white noise {number}", rng.integers(0, 256, (size_px, size_px, 3)).astype(np.uint8)


def _waves(size_px: int, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Smooth pictures that are different everywhere."""
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    for number in range(20):
        wave = np.zeros((size_px, size_px, 3))
        for _ in range(8):
            frequency, phase = rng.uniform(-10, 10, (3, 2)), rng.uniform(0, 2 * np.pi, 3)
            angle = 2 * np.pi * (x[..., None] * frequency[:, 0] + y[..., None] * frequency[:, 1])
            wave += rng.normal(size=3) * np.cos(angle + phase)
        wave = (wave - wave.min()) / (wave.max() - wave.min())
        yield f"waves {number}", np.rint(wave * 255).astype(np.uint8)
