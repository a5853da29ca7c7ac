"""How far a graph's landmarks are from those of FP32, drawn on a face and magnified."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import ShapeError

__all__ = ["LandmarkDistances", "landmark_svg", "magnification"]

_JPEG_QUALITY = 92
_MOST_RADIUS = 0.06  # of the side: a larger ring hides its neighbours
_MANTISSAS = (1, 2, 5)
_SMALLEST_RADIUS = 0.5  # in the crop: a landmark that does not differ is seen to be there
_MEAN, _P99 = "#00c8ff", "#ffb000"  # light, with a dark rim: they are seen on skin and on black


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkDistances:
    """Distances of one precision.

    Attributes:
        mean_px: ``(N,)`` float64, pixels of the crop, over the crops that were compared.
        p99_px: ``(N,)`` float64, their 99th percentiles.
    """

    mean_px: NDArray[np.float64]
    p99_px: NDArray[np.float64]


def magnification(distances: LandmarkDistances, *, size_px: int) -> float:
    """Return by how much to magnify distances so that the largest is well seen: 1, 2, 5, 10, ...

    Below 1 if the largest would cover the face; 1 if nothing differs. What is not finite does not
    count, as it is not drawn.
    """
    finite_px = distances.p99_px[np.isfinite(distances.p99_px)]
    largest_px = float(finite_px.max(initial=0.0))
    if largest_px <= 0:
        return 1.0
    room = _MOST_RADIUS * size_px / largest_px
    power = 10.0 ** np.floor(np.log10(room))
    return float(max(m * power for m in _MANTISSAS if m * power <= room * (1 + 1e-9)))


def landmark_svg(
    crop: NDArray[np.uint8],
    landmarks_norm: NDArray[np.floating],
    distances: LandmarkDistances,
    *,
    factor: float,
) -> bytes:
    """Return the crop with a disc of the mean and a ring of the 99th percentile at each landmark.

    Args:
        crop: ``(S, S, 3)`` uint8 BGR.
        landmarks_norm: ``(N, 2)``, where they are drawn, a fraction of the crop; what is not finite
            is left out.
        distances: Of the N landmarks.
        factor: By which the radii are magnified.

    Raises:
        ShapeError: If the shapes do not fit.
    """
    if crop.ndim != 3 or landmarks_norm.shape != (len(distances.mean_px), 2):
        raise ShapeError(
            f"a crop of (S, S, 3) and (N, 2) landmarks are needed, got {crop.shape} and "
            f"{landmarks_norm.shape} for {len(distances.mean_px)} distances"
        )
    size_px = crop.shape[0]
    picture = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
    marks = [
        _mark(x * size_px, y * size_px, mean * factor, p99 * factor)
        for (x, y), mean, p99 in zip(
            landmarks_norm.tolist(), distances.mean_px, distances.p99_px, strict=True
        )
        if np.isfinite((x, y, mean, p99)).all()
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size_px} {size_px}" '
        f'width="{2 * size_px}" height="{2 * size_px}">'
        f'<image width="{size_px}" height="{size_px}" '
        f'href="data:image/jpeg;base64,{base64.b64encode(picture).decode()}"/>'
        f"{''.join(marks)}</svg>"
    ).encode()


def _mark(x: float, y: float, mean: float, p99: float) -> str:
    at = f'cx="{x:.2f}" cy="{y:.2f}"'
    ring = f'<circle {at} r="{p99:.2f}" fill="none"'
    disc = f'<circle {at} r="{max(mean, _SMALLEST_RADIUS):.2f}" fill="{_MEAN}"'
    return (
        f'{ring} stroke="#000" stroke-opacity="0.6" stroke-width="1.5"/>'
        f'{ring} stroke="{_P99}" stroke-width="0.8"/>'
        f'{disc} fill-opacity="0.85" stroke="#000" stroke-width="0.3"/>'
    )
