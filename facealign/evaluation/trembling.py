"""Crops of one face that trembles: sub-pixel pan and zoom, and the noise of a sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation.landmark_jitter import MIN_STEPS
from facealign.geometry import Placement, crops_from_frame, frame_from_crop
from facealign.spec import CropSpec

__all__ = ["Trembling", "reference_px_from_crops", "trembling_crops", "trembling_placement"]

# Steps of one swing of x, y and zoom: primes, so that no two crops of a sequence are alike, and
# long enough that a step is a fraction of a pixel.
_PERIODS = (23, 29, 19)


@dataclass(frozen=True, slots=True)
class Trembling:
    """How a still face is made to tremble.

    Attributes:
        step_count: T, crops of one face, 3 or more.
        pan_px: How far the crop swings to either side, crop pixels; at 1,
            a step is 0.27 px or less.
        zoom: By which share the crop's side swings.
        noise_grey: Standard deviation of the noise of each value, grey levels. It is added to the
            crop, so that it is as strong in a small face as in a large one.
        seed: Of the phases of the swings and of the noise, 0 or more.
    """

    step_count: int = 32
    pan_px: float = 1.0
    zoom: float = 0.01
    noise_grey: float = 2.0
    seed: int = 0


def trembling_crops(
    frame: NDArray[np.uint8], placement: Placement, spec: CropSpec, trembling: Trembling
) -> tuple[NDArray[np.uint8], Placement]:
    """Return the crops of one face at every step, and where they were cut.

    Args:
        frame: ``(H, W, 3)`` uint8 BGR.
        placement: One square, about which the others lie.
        spec: How crops are cut.
        trembling: How far, and how often.

    Returns:
        ``(T, S, S, 3)`` uint8 BGR, and their T squares.

    Raises:
        ShapeError: If `placement` is not one square.
        InputError: If a number of `trembling` is out of range.
    """
    squares = trembling_placement(placement, trembling, size_px=spec.size_px)
    crops = crops_from_frame(frame, squares, spec)
    rng = np.random.default_rng([trembling.seed, 1])
    for crop in crops:  # one at a time: the noise of all would be sixteen times the crops
        noise = rng.normal(0, trembling.noise_grey, crop.shape)
        crop[:] = np.clip(np.rint(crop + noise), 0, 255).astype(np.uint8)
    return crops, squares


def trembling_placement(placement: Placement, trembling: Trembling, *, size_px: int) -> Placement:
    """Return the T squares of one face: its own, swinging in x, y and size.

    Raises:
        ShapeError: If `placement` is not one square.
        InputError: If a number of `trembling` is out of range.
    """
    _check(trembling)
    if len(placement) != 1:
        raise ShapeError(
            f"`placement` must be one square, got {len(placement)}; pass one at a time"
        )
    phases = np.random.default_rng([trembling.seed, 0]).uniform(0, math.tau, len(_PERIODS))
    steps = np.arange(trembling.step_count)[:, None]
    x, y, zoom = np.sin(math.tau * steps / np.array(_PERIODS) + phases).T  # (T,) each
    side = float(placement.side[0])
    pan = trembling.pan_px * side / size_px * np.stack([x, y], axis=1)  # (T, 2)
    return Placement(centre=placement.centre + pan, side=side * (1 + trembling.zoom * zoom))


def reference_px_from_crops(
    landmarks_norm: NDArray[np.floating],
    squares: Placement,
    placement: Placement,
    *,
    size_px: int,
) -> NDArray[np.float64]:
    """Return landmarks of trembling crops in pixels of the crop that does not tremble.

    Args:
        landmarks_norm: ``(T, N, 2)``, a fraction of each crop.
        squares: Where the T crops were cut.
        placement: The one square about which they lie.
        size_px: Side of the crops.

    Returns:
        ``(T, N, 2)`` float64; a landmark that is found rightly every time does not move.
    """
    offset = frame_from_crop(landmarks_norm, squares) - placement.centre
    return np.asarray(size_px * (offset / placement.side[0] + 0.5), np.float64)


def _check(trembling: Trembling) -> None:
    if trembling.step_count < MIN_STEPS:
        raise InputError(f"`step_count` must be {MIN_STEPS} or more, got {trembling.step_count}")
    amounts = (trembling.pan_px, trembling.zoom, trembling.noise_grey)
    if not all(math.isfinite(amount) and amount >= 0 for amount in amounts):
        raise InputError(f"pan, zoom and noise must be 0 or more, got {amounts}")
    if trembling.zoom >= 1:
        raise InputError(f"`zoom` must be below 1, got {trembling.zoom:g}; pass for example 0.01")
