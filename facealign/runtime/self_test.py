"""Whether this machine gives what the bundle was made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle, Manifest
from facealign.errors import IntegrityError, SelfTestError
from facealign.geometry import crops_from_frame, placement_from_boxes

__all__ = ["GoldenDistance", "check_golden"]

_REDUCED_MARGIN = 1.5  # of what was measured when the bundle was made


@dataclass(frozen=True, slots=True)
class GoldenDistance:
    """The landmark that is furthest from golden.

    Attributes:
        max_px: How far, in crop pixels.
        allowed_px: How far it may be.
        crop_count: Golden crops.
    """

    max_px: float
    allowed_px: float
    crop_count: int


def check_golden(
    bundle: Bundle,
    *,
    precision: str,
    run_crops: Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]],
) -> GoldenDistance:
    """Check the crop rule and the landmarks against the golden files, and return how far they are.

    A graph of reduced precision may be somewhat further off than it was when it was compiled: other
    kernels round otherwise, and a value that falls into the next of 256 steps moves the rest.

    Args:
        bundle: Holds the golden arrays and their tolerances.
        precision: Which graph `run_crops` runs.
        run_crops: From ``(K, S, S, 3)`` crops to outputs by name.

    Raises `SelfTestError` if a crop or a landmark is further off than the manifest allows.
    """
    manifest, golden = bundle.manifest, bundle.golden()
    placement = placement_from_boxes(golden.boxes, manifest.crop.from_box)
    crops = crops_from_frame(golden.frame, placement, manifest.crop)
    _check_crops(crops, golden.crops[: len(crops)], max_grey=manifest.golden.max_grey)
    allowed_px = _allowed_px(manifest, precision, len(golden.crops))
    found = run_crops(golden.crops)["landmarks"]
    distance = np.linalg.norm(found - golden.landmarks, axis=2) * manifest.crop.size_px  # (K, N)
    undecided = np.isnan(golden.landmarks).any(axis=2) & np.isfinite(found).all(axis=2)
    distance = np.where(undecided, 0, distance)
    _check_landmarks(distance, allowed_px)
    crop = int(distance.max(axis=1).argmax())
    return GoldenDistance(float(distance[crop].max()), float(allowed_px[crop]), len(distance))


def _allowed_px(manifest: Manifest, precision: str, crop_count: int) -> NDArray[np.float64]:
    """Return ``(K,)`` how far landmarks of each golden crop may be off."""
    graph = manifest.graphs.get(precision)
    measured = np.zeros(crop_count)
    if graph is not None and graph.golden_px:
        if len(graph.golden_px) != crop_count:
            raise IntegrityError(
                f"the manifest has {len(graph.golden_px)} tolerances for {crop_count} golden crops "
                f"of {precision}; compile the bundle again"
            )
        measured = _REDUCED_MARGIN * np.array(graph.golden_px)
    return np.maximum(manifest.golden.max_px, measured)


def _check_crops(crops: NDArray[np.uint8], expected: NDArray[np.uint8], *, max_grey: float) -> None:
    difference = np.abs(crops.astype(np.int16) - expected).reshape(len(crops), -1).max(axis=1)
    if not np.all(difference <= max_grey):
        worst = int(difference.argmax())
        raise SelfTestError(
            f"golden crop {worst} is {difference[worst]} grey levels off, at most {max_grey:g} are "
            "allowed; this OpenCV cuts crops in another way than the one the bundle was made with"
        )


def _check_landmarks(distance: NDArray[np.float32], allowed_px: NDArray[np.float64]) -> None:
    excess = distance - allowed_px[:, None]
    if not np.all(excess <= 0):  # written so that NaN fails too
        crop, landmark = np.unravel_index(np.nanargmax(excess), distance.shape)
        raise SelfTestError(
            f"landmark {landmark} of golden crop {crop} is {distance[crop, landmark]:.4f} px off, "
            f"at most {allowed_px[crop]:g} px are allowed; this engine does not compute what the "
            "bundle's module does, do not use it"
        )
