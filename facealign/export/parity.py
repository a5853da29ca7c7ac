"""Is the graph the module? Distances in crop pixels, over crops that try to tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ParityError
from facealign.export.crops import NamedCrop
from facealign.spec import ExtraOutput

__all__ = [
    "BATCH_SIZES",
    "PARITY_BAR_PX",
    "OutputFunction",
    "ParityReport",
    "check_parity",
    "measure_parity",
]

Outputs = Mapping[str, NDArray[Any]]
OutputFunction = Callable[[NDArray[np.uint8]], Outputs]
"""From ``(B, S, S, 3)`` uint8 BGR crops to outputs by name: ``landmarks`` ``(B, N, 2)`` as a
fraction of the crop, and whatever else there is. The module may give ``undecided`` ``(B, N)``."""

PARITY_BAR_PX = (
    0.01  # max measured 0.0006 px: SLPT 6 and 12 layers, 72 crops, ONNX Runtime 1.31 on CPU
)
BATCH_SIZES = (1, 2, 3, 8)
_EXTRA_BAR = 1e-4  # of the largest value; the bar of the first-divergence finder
_UNDECIDED_SHARE = 0.5  # a check that passes over more than this is none
# The last bit is one of many roundings. Graphs were 0.6 to 1.7 times the noise away in the median
# of 72 crops (MobileNetV2-A, ResNet-34, HRNet-W32 and EfficientNet-b1 with a learned graph).
_NOISES_ALLOWED = 4.0
_LANDMARKS, _UNDECIDED = "landmarks", "undecided"
_COMPARED = (_LANDMARKS, _UNDECIDED, *get_args(ExtraOutput))
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
        noise_px: How far the module's own landmarks move with the last bit of its weights, where
            that was asked; see `with_noise`.
        undecided_count: Landmarks that were passed over, because in the module itself rounding
            alone decides which of two peaks is the highest.
        landmark_count: Landmarks of all crops together.
        extra: By the name of each other output, its largest deviation from the module's as a
            fraction of the largest value there; infinite where one side is not finite.
    """

    max_px: float
    p99_px: float
    batch_px: float
    worst_crop: str
    worst_landmark: int
    worst_batch: int
    crop_count: int
    bar_px: float
    landmark_count: int
    undecided_count: int = 0
    extra: Mapping[str, float] = field(default_factory=dict)
    noise_px: float | None = None

    def with_noise(self, noise_px: float) -> ParityReport:
        """Return the report with a bar that rounding alone cannot break.

        A network may amplify rounding so much that no two engines agree: then a distance of the
        size of its own noise proves nothing against the graph. The bar of any other network stays.
        """
        bar_px = self.bar_px
        if np.isfinite(noise_px):
            bar_px = max(bar_px, _NOISES_ALLOWED * noise_px)
        return replace(self, bar_px=bar_px, noise_px=noise_px)

    @property
    def passed(self) -> bool:
        """Whether the graph may ship."""
        return (
            self.max_px <= self.bar_px
            and self.batch_px <= self.bar_px
            and all(deviation <= _EXTRA_BAR for deviation in self.extra.values())
            and self.is_decided
        )

    @property
    def is_decided(self) -> bool:
        """Whether enough landmarks were compared."""
        return self.undecided_count <= _UNDECIDED_SHARE * self.landmark_count


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
    for name, deviation in report.extra.items():
        if not deviation <= _EXTRA_BAR:
            raise ParityError(
                f"graph and module differ in `{name}` by {deviation:.3g} of its largest value "
                f"(allowed {_EXTRA_BAR:g})"
            )
    if not report.is_decided:
        raise ParityError(
            f"{report.undecided_count} of {report.landmark_count} landmarks hang on rounding in "
            "the module itself, so nothing was proved; check that the checkpoint is a trained one"
        )
    raise ParityError(
        f"landmarks move by {report.batch_px:.4g} px with the other crops of a batch, "
        f"worst at {place} (allowed {report.bar_px} px)"
    )


def measure_parity(
    reference: OutputFunction,
    candidate: OutputFunction,
    crops: Sequence[NamedCrop],
    *,
    exact: OutputFunction | None = None,
    bar_px: float = PARITY_BAR_PX,
    progress: Callable[[int], None] = lambda _: None,
) -> ParityReport:
    """Return how far `candidate` is from `reference`, over batches of different crops.

    Every crop is seen in two batches: one of the largest size of `BATCH_SIZES`, and one of the
    others in turn, with other neighbours, which must not matter.

    Args:
        reference: The module, on torch.
        candidate: The graph, on an engine; each of its outputs is compared.
        crops: As many as there are; 72 fill whole batches.
        exact: The module in float64, several times slower. It is asked about the crops on which the
            two are further apart than `bar_px`, and what it says there counts.
        bar_px: Largest allowed distance.
        progress: Called with the number of crops just done; in the end that is thrice their number.

    Raises:
        ParityError: If either gives outputs of another shape than it should, or the module does
            not give all of the graph's.
    """
    pixels = np.stack([crop.pixels for crop in crops])
    size_px = pixels.shape[1]
    large = _slices(len(crops), BATCH_SIZES[-1:])
    small = _slices(len(crops), BATCH_SIZES[:-1])
    module = _in_batches(reference, pixels, _slices(len(crops), _REFERENCE_BATCH), progress)
    graph = [_in_batches(candidate, pixels, parts, progress) for parts in (large, small)]
    _check_shapes(graph[0], module)
    found = np.stack([outputs[_LANDMARKS] for outputs in graph])  # (2, K, N, 2)
    distance = _decided_px(found, module, size_px)  # (2, K, N)
    far = np.flatnonzero((distance > bar_px).any(axis=(0, 2)))
    if exact and far.size:
        module = _refined(module, far, exact, pixels)
        distance = _decided_px(found, module, size_px)
    undecided = _undecided(module)  # (K, N)
    move = np.where(undecided, 0, _distance_px(found[:1], found[1:], size_px))  # (1, K, N)
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
        landmark_count=undecided.size,
        undecided_count=int(np.count_nonzero(undecided)),
        extra={
            name: _extra_deviation(name, graph, module) for name in graph[0] if name != _LANDMARKS
        },
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


def _check_shapes(graph: Outputs, module: Outputs) -> None:
    for name, found in graph.items():
        expected = module[name].shape if name in module else "nothing"
        if found.shape != expected:
            raise ParityError(
                f"the graph gave {name} of shape {found.shape}, the module {expected}"
            )


def _extra_deviation(name: str, graph: Sequence[Outputs], module: Outputs) -> float:
    """Return the largest deviation in either kind of batch, as a fraction of the largest value."""
    expected = module[name].astype(np.float64)
    deviation = max(float(np.abs(outputs[name] - expected).max()) for outputs in graph)
    scale = float(np.abs(expected).max()) or 1.0
    return deviation / scale if np.isfinite(deviation) else float("inf")


def _in_batches(
    function: OutputFunction,
    pixels: NDArray[np.uint8],
    batches: Sequence[slice],
    progress: Callable[[int], None],
) -> dict[str, NDArray[Any]]:
    parts = []
    for batch in batches:
        count = batch.stop - batch.start
        outputs = function(pixels[batch])
        for name in _COMPARED:
            if name in outputs and outputs[name].shape[0] != count:
                raise ParityError(
                    f"a batch of {count} crops gave {name} of shape {outputs[name].shape}; "
                    "the batch is baked into the graph"
                )
        parts.append({name: array for name, array in outputs.items() if name in _COMPARED})
        progress(count)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _undecided(module: Outputs) -> NDArray[np.bool_]:
    """Return which landmarks ``(K, N)`` of the module hang on rounding."""
    return np.asarray(module.get(_UNDECIDED, np.zeros(module[_LANDMARKS].shape[:2], bool)))


def _decided_px(found: NDArray[np.float32], module: Outputs, size_px: int) -> NDArray[np.float64]:
    """Return the distance ``(2, K, N)`` from the module's landmarks, 0 of one that is undecided."""
    return np.where(_undecided(module), 0, _distance_px(found, module[_LANDMARKS], size_px))


def _refined(
    module: Outputs, crops: NDArray[np.intp], exact: OutputFunction, pixels: NDArray[np.uint8]
) -> dict[str, NDArray[Any]]:
    """Return the module's outputs with those of some crops as `exact` has them."""
    batches = _slices(len(crops), _REFERENCE_BATCH)
    replacing = _in_batches(exact, pixels[crops], batches, lambda _: None)
    refined = {name: array.copy() for name, array in module.items()}
    for name, array in refined.items():
        array[crops] = replacing[name]
    return refined


def _distance_px(
    a: NDArray[np.float32], b: NDArray[np.float32], size_px: int
) -> NDArray[np.float64]:
    """Return ``(..., N)`` distances; infinite for anything not finite, so that no NaN passes."""
    with np.errstate(invalid="ignore"):  # infinite minus infinite is NaN, which the next line takes
        distance = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=-1) * size_px
    return np.where(np.isfinite(distance), distance, np.inf)
