"""Is the graph the module? Distances in crop pixels, over crops that try to tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ParityError
from facealign.export.crops import NamedCrop

__all__ = [
    "BATCH_SIZES",
    "PARITY_BAR_PX",
    "LandmarkFunction",
    "ParityReport",
    "check_parity",
    "measure_parity",
]

LandmarkFunction = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From ``(B, S, S, 3)`` uint8 BGR crops to ``(B, N, 2)`` landmarks, a fraction of the crop."""

PARITY_BAR_PX = (
    0.01  # max measured 0.0006 px: SLPT 6 and 12 layers, 72 crops, ONNX Runtime 1.31 on CPU
)
BATCH_SIZES = (1, 2, 3, 8)
_LARGEST = max(BATCH_SIZES)


@dataclass(frozen=True, slots=True)
class ParityReport:
    """How far a graph is from its module.

    Attributes:
        max_px: Largest distance of any landmark, in crop pixels; infinite where one side is not
            finite.
        p99_px: 99th percentile over all landmarks of all crops.
        batch_px: Largest distance between a crop's landmarks in one batch and in another.
        worst_crop: Name of the crop of the largest distance.
        worst_landmark: Its landmark.
        worst_batch: The batch size at which it was seen.
        crop_count: Number of crops.
        bar_px: What `max_px` and `batch_px` may be at most.
    """

    max_px: float
    p99_px: float
    batch_px: float
    worst_crop: str
    worst_landmark: int
    worst_batch: int
    crop_count: int
    bar_px: float

    @property
    def passed(self) -> bool:
        """Whether the graph may ship."""
        return self.max_px <= self.bar_px and self.batch_px <= self.bar_px


def check_parity(report: ParityReport) -> None:
    """Refuse a graph that is too far from its module.

    Raises:
        ParityError: Naming the worst landmark and crop.
    """
    if report.passed:
        return
    place = (
        f"landmark {report.worst_landmark} of crop {report.worst_crop!r} "
        f"at batch {report.worst_batch}"
    )
    if report.max_px > report.bar_px:
        raise ParityError(
            f"graph and module differ by {report.max_px:.4g} px at {place} (allowed "
            f"{report.bar_px} px, 99 % of landmarks are within {report.p99_px:.4g} px)"
        )
    raise ParityError(
        f"landmarks move by {report.batch_px:.4g} px with the other crops of a batch, "
        f"worst at {place} (allowed {report.bar_px} px)"
    )


def measure_parity(
    reference: LandmarkFunction,
    candidate: LandmarkFunction,
    crops: Sequence[NamedCrop],
    *,
    bar_px: float = PARITY_BAR_PX,
    progress: Callable[[int], None] = lambda _: None,
) -> ParityReport:
    """Return how far `candidate` is from `reference`, over batches of different crops.

    Every crop is compared in batches of the largest size of `BATCH_SIZES`. The smaller sizes then
    see the first crops again with other neighbours, which must not matter.

    Args:
        reference: The module, on torch.
        candidate: The graph, on an engine.
        crops: At least `max(BATCH_SIZES)` of them.
        bar_px: Largest allowed distance.
        progress: Called with the number of crops just done.
    """
    pixels = np.stack([crop.pixels for crop in crops])
    size_px = pixels.shape[1]
    expected = _in_batches(reference, pixels, _LARGEST, progress)
    found = {_LARGEST: _in_batches(candidate, pixels, _LARGEST, progress)}
    for size in BATCH_SIZES[:-1]:
        # An odd number of batches of each size, starting where the large batches do not.
        found[size] = _in_batches(candidate, pixels[: 2 * _LARGEST + 1], size, progress)
    distances = {size: _distance_px(f, expected[: len(f)], size_px) for size, f in found.items()}
    moves = {size: _distance_px(f, found[_LARGEST][: len(f)], size_px) for size, f in found.items()}
    max_px, batch_px = _largest(distances), _largest(moves)
    worst = moves if max_px <= bar_px < batch_px else distances
    worst_batch = max(worst, key=lambda size: float(worst[size].max()))
    crop, landmark = np.unravel_index(int(worst[worst_batch].argmax()), worst[worst_batch].shape)
    return ParityReport(
        max_px=max_px,
        p99_px=float(np.percentile(distances[_LARGEST], 99, method="higher")),
        batch_px=batch_px,
        worst_crop=crops[int(crop)].name,
        worst_landmark=int(landmark),
        worst_batch=worst_batch,
        crop_count=len(crops),
        bar_px=bar_px,
    )


def _in_batches(
    function: LandmarkFunction,
    pixels: NDArray[np.uint8],
    size: int,
    progress: Callable[[int], None],
) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(pixels), size):
        batch = pixels[start : start + size]
        landmarks = function(batch)
        if landmarks.shape[0] != len(batch):
            raise ParityError(
                f"a batch of {len(batch)} crops gave landmarks of shape {landmarks.shape}; "
                "the batch is baked into the graph"
            )
        parts.append(landmarks)
        progress(len(batch))
    return np.concatenate(parts)


def _distance_px(
    a: NDArray[np.float32], b: NDArray[np.float32], size_px: int
) -> NDArray[np.float64]:
    """Return ``(B, N)`` distances; infinite for anything not finite, so that no NaN passes."""
    with np.errstate(invalid="ignore"):  # infinite minus infinite is NaN, which the next line takes
        distance = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1) * size_px
    return np.where(np.isfinite(distance), distance, np.inf)


def _largest(distances: dict[int, NDArray[np.float64]]) -> float:
    return max(float(distance.max()) for distance in distances.values())
