"""Is a graph still its module? Asked at export, and again of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import ParityEntry
from facealign.errors import ParityError
from facealign.export.crops import parity_crops
from facealign.export.divergence import first_divergence
from facealign.export.graph import expose_values
from facealign.export.parity import BATCH_SIZES, measure_parity
from facealign.export.parity_report import PARITY_BAR_PX, ParityReport, check_parity
from facealign.models.load import Model
from facealign.models.rounding import rounding_noise_px
from facealign.pipeline.progress import Stage
from facealign.runtime.ort_engine import OrtEngine, run_graph

__all__ = ["measure_reduced", "remembered_points", "verify_graph", "verify_reduced"]

Points = Callable[[NDArray[np.uint8]], dict[str, NDArray[Any]]]

_LARGEST_BATCH = max(BATCH_SIZES)
_REDUCED_MARGIN = 1.5  # as in the self-test: other kernels round otherwise


def remembered_points(model: Model) -> Points:
    """Return `Model.points` that computes each batch once; parity asks for the same ones again."""
    known: dict[bytes, dict[str, NDArray[Any]]] = {}

    def points(crops: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        key = hashlib.sha256(crops.tobytes()).digest()
        if key not in known:
            names = ("landmarks", "undecided", *model.family.extra_outputs)
            known[key] = {k: v for k, v in model.points(crops).items() if k in names}
        return known[key]

    return points


def measure_reduced(model: Model, graph: bytes, points: Points, stage: Stage) -> ParityReport:
    """Return how far a graph of reduced precision is from the module; there is no bar to keep.

    Args:
        model: The network, on torch.
        graph: ONNX file.
        points: Of `remembered_points`.
        stage: Told about every batch.
    """
    return _measured(model, graph, points, stage)


def verify_reduced(
    model: Model, graph: bytes, recorded: ParityEntry, points: Points, stage: Stage
) -> ParityReport:
    """Return how far a graph of reduced precision is from the module now.

    Args:
        model: The network, on torch.
        graph: ONNX file.
        recorded: What the manifest says of it.
        points: Of `remembered_points`.
        stage: Told about every batch.

    Raises:
        ParityError: If it is clearly further off than it was when the bundle was made.
    """
    report = measure_reduced(model, graph, points, stage)
    allowed_px = _REDUCED_MARGIN * recorded.max_px + PARITY_BAR_PX
    if not report.max_px <= allowed_px:
        raise ParityError(
            f"graph and module differ by {report.max_px:.4g} px at landmark "
            f"{report.worst_landmark} of crop {report.worst_crop!r}; when the bundle was made it "
            f"was {recorded.max_px:.4g} px, so the checkpoint is another, or the engine is wrong"
        )
    return report


def verify_graph(
    model: Model, graph: bytes, stage: Stage, *, points: Points | None = None
) -> ParityReport:
    """Return the parity of a graph with its module.

    Args:
        model: The network, on torch.
        graph: ONNX file.
        stage: Told about every batch.
        points: Of `remembered_points`, if other graphs follow.

    Raises:
        ParityError: If it fails, with the first point at which the two differ.
    """
    exact = model.exact_points if model.family.build_exact else None
    report = _measured(model, graph, points or model.points, stage, exact=exact)
    if not report.passed:
        crops = np.stack([crop.pixels for crop in parity_crops(model.crop.size_px)])
        report = report.with_noise(rounding_noise_px(model, crops))
    try:
        check_parity(report)
    except ParityError as error:
        raise ParityError(f"{error}; {_where_it_begins(model, graph, report)}") from None
    stage.say(
        f"{report.crop_count} crops in batches of {', '.join(map(str, BATCH_SIZES))}: "
        f"max {report.max_px:.4f} px, p99 {report.p99_px:.4f} px (bar {report.bar_px:g} px)"
        f"{_remarks(report)}"
    )
    return report


def _measured(
    model: Model, graph: bytes, points: Points, stage: Stage, *, exact: Points | None = None
) -> ParityReport:
    """Return how far a graph in ONNX Runtime is from the module, over the crops of parity."""
    crops = parity_crops(model.crop.size_px)
    names = ["landmarks", *model.family.extra_outputs]
    total = 3 * len(crops)
    engine = OrtEngine(graph, input_name="image", output_names=names, max_batch=_LARGEST_BATCH)
    with closing(engine):
        return measure_parity(
            points,
            engine.run,
            crops,
            exact=exact,
            progress=lambda done: stage.advance(done, total=total),
        )


def _remarks(report: ParityReport) -> str:
    text = ""
    if report.undecided_count:
        share = report.undecided_count / report.landmark_count
        text = f"; {share:.1%} of the landmarks hang on rounding in the module and were passed over"
    if report.noise_px is not None:
        text += (
            f"; CAUTION: this network amplifies rounding: the last bit of its weights moves its "
            f"own landmarks by {report.noise_px:.3g} px, so no engine can be closer"
        )
    return text


def _where_it_begins(model: Model, graph: bytes, report: ParityReport) -> str:
    """Return where graph and module begin to differ: on the worst crop, between two others."""
    contract = 1 + len(model.family.extra_outputs)
    names = (*model.output_names[contract:], *model.output_names[:contract])
    crops = parity_crops(model.crop.size_px)
    worst = next(crop for crop in crops if crop.name == report.worst_crop)
    batch = np.stack([crops[0].pixels, worst.pixels, crops[1].pixels])
    found = run_graph(expose_values(graph, names), batch)
    divergence = first_divergence(
        graph, expected=model.exact_points(batch), found=found, names=names
    )
    return str(divergence) if divergence else "no named point differs by itself"
