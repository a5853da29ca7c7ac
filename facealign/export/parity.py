"""Is the graph the module? Distances in crop pixels, over crops that try to tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ParityError
from facealign.export.crops import NamedCrop
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport
from facealign.spec import ExtraOutput

__all__ = ["BATCH_SIZES", "OutputFunction", "measure_parity"]

Outputs = Mapping[str, NDArray[Any]]
OutputFunction = Callable[[NDArray[np.uint8]], Outputs]
"""From ``(B, S, S, 3)`` uint8 BGR crops to outputs by name: ``landmarks`` ``(B, N, 2)`` as a
fraction of the crop, and whatever else there is. The module may give ``undecided`` ``(B, N)``."""

BATCH_SIZES = (1, 2, 3, 8)
_LANDMARKS, _UNDECIDED = "landmarks", "undecided"
_COMPARED = (_LANDMARKS, _UNDECIDED, *get_args(ExtraOutput))
_REFERENCE_BATCH = (4,)  # torch takes 0.13 to 0.16 s per crop of SLPT, and 0.18 in batches of 8


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
