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
_REFERENCE_BATCH = (4,)  # torch takes 0.13 to 0.16 s per crop of SLPT, and 0.18 in batches of 8


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

    Every crop is seen in two batches: one of the largest size of `BATCH_SIZES`, and one of the
    others in turn, with other neighbours, which must not matter.

    Args:
        reference: The module, on torch.
        candidate: The graph, on an engine.
        crops: As many as there are; 72 fill whole batches.
        bar_px: Largest allowed distance.
        progress: Called with the number of crops just done; in the end that is thrice their number.

    Raises:
        ParityError: If either gives landmarks of another shape than it should.
    """
    pixels = np.stack([crop.pixels for crop in crops])
    size_px = pixels.shape[1]
    large = _slices(len(crops), BATCH_SIZES[-1:])
    small = _slices(len(crops), BATCH_SIZES[:-1])
    expected = _in_batches(reference, pixels, _slices(len(crops), _REFERENCE_BATCH), progress)
    found = np.stack([_in_batches(candidate, pixels, parts, progress) for parts in (large, small)])
    if found.shape[1:] != expected.shape:
        raise ParityError(
            f"the graph gave landmarks of shape {found.shape[1:]}, the module {expected.shape}"
        )
    distance = _distance_px(found, expected, size_px)  # (2, K, N)
    move = _distance_px(found[:1], found[1:], size_px)  # (1, K, N)
    is_contaminated = distance.max() <= bar_px < move.max()
    worst = move if is_contaminated else distance
    parts, crop, landmark = np.unravel_index(int(worst.argmax()), worst.shape)
    batch = next(s for s in (small if is_contaminated else (large, small)[parts]) if crop < s.stop)
    return ParityReport(
        max_px=float(distance.max()),
        p99_px=float(np.percentile(distance, 99, method="higher")),
        batch_px=float(move.max()),
        worst_crop=crops[int(crop)].name,
        worst_landmark=int(landmark),
        worst_batch=batch.stop - batch.start,
        crop_count=len(crops),
        bar_px=bar_px,
    )


def _slices(count: int, sizes: Sequence[int]) -> list[slice]:
    """Return batches over `count` crops whose sizes go round; the last may be smaller."""
    slices: list[slice] = []
    start = 0
    while start < count:
        stop = min(count, start + sizes[len(slices) % len(sizes)])
        slices.append(slice(start, stop))
        start = stop
    return slices


def _in_batches(
    function: LandmarkFunction,
    pixels: NDArray[np.uint8],
    batches: Sequence[slice],
    progress: Callable[[int], None],
) -> NDArray[np.float32]:
    parts = []
    for batch in batches:
        count = batch.stop - batch.start
        landmarks = function(pixels[batch])
        if landmarks.shape[0] != count:
            raise ParityError(
                f"a batch of {count} crops gave landmarks of shape {landmarks.shape}; "
                "the batch is baked into the graph"
            )
        parts.append(landmarks)
        progress(count)
    return np.concatenate(parts)


def _distance_px(
    a: NDArray[np.float32], b: NDArray[np.float32], size_px: int
) -> NDArray[np.float64]:
    """Return ``(..., N)`` distances; infinite for anything not finite, so that no NaN passes."""
    with np.errstate(invalid="ignore"):  # infinite minus infinite is NaN, which the next line takes
        distance = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1) * size_px
    return np.where(np.isfinite(distance), distance, np.inf)
