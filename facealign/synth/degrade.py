"""What a camera and a codec do to a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["degrade"]


def degrade(
    picture: NDArray[np.uint8], rng: np.random.Generator, *, is_strong: bool, face_px: float
) -> NDArray[np.uint8]:
    """Return the picture with faint noise, and if strong, clearly blurred or coarsely coded.

    Args:
        picture: ``(H, W, 3)`` uint8 BGR.
        rng: Draws what happens and how much.
        is_strong: Whether one would call it blurred.
        face_px: Longer side of the face; blur is a fraction of it.
    """
    noisy = _noisy(picture, rng, float(rng.uniform(0.5, 3.5)))
    if not is_strong:
        return noisy
    kind = rng.integers(5)
    amount = float(rng.uniform(0.5, 1))
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(noisy, (0, 0), 0.030 * amount * face_px), np.uint8)
    if kind == 1:
        return _moved(noisy, 0.12 * amount * face_px, float(rng.uniform(0, np.pi)))
    if kind == 2:
        return _coarse(noisy, 30 / amount / face_px)
    if kind == 3:
        return _coded(_coarse(noisy, min(1.0, 60 / face_px)), int(rng.integers(5, 16)))
    blurred = np.asarray(cv2.GaussianBlur(noisy, (0, 0), 0.012 * face_px), np.uint8)
    return _noisy(blurred, rng, 26 * amount)


def _noisy(
    picture: NDArray[np.uint8], rng: np.random.Generator, amount: float
) -> NDArray[np.uint8]:
    noise = np.frombuffer(rng.bytes(picture.size), np.int8).reshape(picture.shape)
    scaled = noise * np.float32(amount / 74)  # 74: standard deviation of a uniform byte
    noisy: NDArray[np.uint8] = np.clip(picture + scaled + np.float32(0.5), 0, 255).astype(np.uint8)
    return noisy


def _moved(picture: NDArray[np.uint8], length_px: float, angle: float) -> NDArray[np.uint8]:
    """Return the mean along a short line, centred so that landmarks stay."""
    half = max(1, round(length_px / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    x, y = half * np.cos(angle), half * np.sin(angle)
    start, stop = (round(half - x), round(half - y)), (round(half + x), round(half + y))
    cv2.line(kernel, start, stop, (1.0,), 1, cv2.LINE_AA)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _coarse(picture: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    size = picture.shape[1::-1]
    small = (max(8, round(size[0] * share)), max(8, round(size[1] * share)))
    if small[0] >= size[0]:
        return picture
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def _coded(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)
