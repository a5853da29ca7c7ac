"""The graphs that go into a bundle, each with what the manifest says of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.bundle import Golden, GraphEntry, ParityEntry, VerdictEntry
from facealign.errors import ParityError
from facealign.export.cost import macs_by_operator
from facealign.export.graph import OPSET, bytes_from_graph, check_onnx, parameter_count
from facealign.export.lint import check_contract
from facealign.export.parity import BATCH_SIZES
from facealign.export.parity_report import ParityReport
from facealign.export.precision_rules import Precision
from facealign.export.tensorrt.rules import check_tensorrt_rules
from facealign.models.load import Model
from facealign.pipeline.judge import Judge
from facealign.pipeline.precisions import Reductions
from facealign.pipeline.progress import Stage
from facealign.pipeline.reduction import Reduction
from facealign.pipeline.run_crops import graph_runner
from facealign.pipeline.targets import Form, lowered_for
from facealign.pipeline.verify import Points, measure_reduced
from facealign.spec import TensorSpec, contract_input, contract_outputs

__all__ = [
    "FULL",
    "Reference",
    "ShippedGraph",
    "contract",
    "full_graph",
    "reduced_graphs_of",
]

FULL: Precision = "fp32"
_PURPOSES = {
    FULL: "any engine",
    "fp16": "TensorRT, and any engine with FP16 kernels",
    "int8": "TensorRT 10.3 and later",
    "int8-cpu": "ONNX Runtime on x86",
}
_FOR_TENSORRT = ("fp16", "int8")


@dataclass(frozen=True, slots=True)
class Reference:
    """What every graph is measured against.

    Attributes:
        model: The network, on torch.
        golden: The self-test, with what the network gives.
        points: Of `remembered_points`.
        form: In which operators the graphs ship.
    """

    model: Model
    golden: Golden
    points: Points
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class ShippedGraph:
    """An ONNX file, and what the manifest says of it."""

    data: bytes
    entry: GraphEntry


def contract(model: Model) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
    """Return the input and the outputs that the graph of `model` must have."""
    outputs = contract_outputs(model.scheme.landmark_count, model.family.extra_outputs)
    return contract_input(model.crop.size_px), outputs


def full_graph(graph: ir.Model, shipped: ir.Model, parity: ParityReport) -> ShippedGraph:
    """Return the FP32 graph as it ships; `graph` says the same as it was exported."""
    return ShippedGraph(bytes_from_graph(shipped), _entry(FULL, shipped, graph, parity))


def reduced_graphs_of(
    full: ir.Model, reductions: Reductions | None, reference: Reference, stage: Stage
) -> dict[Precision, ShippedGraph]:
    """Return the graphs of reduced precision as they ship, checked once more and measured.

    Raises:
        TargetError: If a target refuses one.
        GraphContractError: If ONNX or TensorRT would refuse one; a defect of the pass.
        ParityError: If one gives no number on a crop of parity or of the self-test.
    """
    if reductions is None:
        return {}
    judge = reductions.judge
    return {
        each.precision: _reduced_graph(full, each, judge, reference, stage)
        for each in reductions.kept
    }


def _reduced_graph(
    full: ir.Model, reduction: Reduction, judge: Judge, reference: Reference, stage: Stage
) -> ShippedGraph:
    exported, golden = reduction.shipped.clone(), reference.golden
    exported.metadata_props.update(
        {**full.metadata_props, "facealign.precision": reduction.precision}
    )
    _check(exported, reference.model, reduction.precision)
    graph = lowered_for(exported, reduction.precision, reference.form)
    data = bytes_from_graph(graph)
    parity = measure_reduced(reference.model, data, reference.points, stage)
    found = graph_runner(data)(golden.crops)
    _check_finite(reduction.precision, parity, found)
    off_px = np.linalg.norm(found - golden.landmarks, axis=2) * golden.crops.shape[1]  # (K, N)
    entry = _entry(
        reduction.precision,
        graph,
        full,
        parity,
        verdict=_verdict(reduction, judge),
        golden_px=tuple(np.nan_to_num(off_px).max(axis=1).astype(float).tolist()),
    )
    return ShippedGraph(data, entry)


def _check(graph: ir.Model, model: Model, precision: Precision) -> None:
    image, outputs = contract(model)
    check_contract(graph, image, outputs, precision=precision)
    check_onnx(graph)
    if precision in _FOR_TENSORRT:
        check_tensorrt_rules(graph)


def _check_finite(precision: Precision, parity: ParityReport, found: NDArray[np.floating]) -> None:
    """Refuse what faces did not show; JSON has no infinity, and no self-test passes with NaN."""
    way_out = f"leave {precision} out of `--precision`"
    if not (np.isfinite(parity.max_px) and np.isfinite(found).all()):
        raise ParityError(
            f"the {precision} graph gives landmarks that are no numbers on a crop that is no face "
            f"(the worst is {parity.worst_crop!r}); {way_out}"
        )
    for name, deviation in parity.extra.items():
        if not np.isfinite(deviation):
            raise ParityError(
                f"the {precision} graph gives no numbers as `{name}` on one of the "
                f"{parity.crop_count} crops of parity; {way_out}"
            )


def _entry(
    precision: Precision,
    graph: ir.Model,
    full: ir.Model,
    parity: ParityReport,
    *,
    verdict: VerdictEntry | None = None,
    golden_px: tuple[float, ...] = (),
) -> GraphEntry:
    """Return what the manifest says; parameters and work are those of the FP32 graph."""
    return GraphEntry(
        file=f"model.{precision}.onnx",
        opset=graph.opset_imports[""],
        node_count=len(graph.graph),
        parameter_count=parameter_count(full),
        mac_count=sum(macs_by_operator(full).values()),
        parity=ParityEntry(
            max_px=parity.max_px,
            p99_px=parity.p99_px,
            crop_count=parity.crop_count,
            batch_sizes=BATCH_SIZES,
            bar_px=parity.bar_px if verdict is None else None,
            undecided_count=parity.undecided_count,
            noise_px=parity.noise_px,
        ),
        golden_px=golden_px,
        purpose=_purpose(precision, graph.opset_imports[""]),
        verdict=verdict,
    )


def _purpose(precision: Precision, opset: int) -> str:
    """Return which engine a graph is for; the options of the manifest name older targets."""
    older = "its older targets, and " if precision == "int8" and opset < OPSET else ""
    return f"{older}{_PURPOSES[precision]}"


def _verdict(reduction: Reduction, judge: Judge) -> VerdictEntry:
    """Return why a graph of reduced precision may ship."""
    chosen, held_out = reduction.chosen, judge.held_out
    found = reduction.judgements[chosen.left]
    low, high = found.change_interval
    return VerdictEntry(
        faces=held_out.faces,
        crops_from=held_out.crops_from,
        face_count=len(held_out.crops),
        p99_px=found.p99_px,
        max_px=found.max_px,
        bar_px=reduction.limits.p99_px,
        drift_percent=found.drift_percent,
        nme_fp32_percent=judge.nme_fp32_percent,
        nme_percent=found.nme_percent,
        change_points=found.change_points,
        change_low_points=low,
        change_high_points=high,
        budget_points=reduction.limits.change_points,
        share=chosen.share,
        left_float=chosen.left,
    )
