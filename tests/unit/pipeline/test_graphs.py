from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.errors import GraphContractError, ParityError
from facealign.export.graph import OPSET, graph_from_bytes, node_counts
from facealign.export.parity_report import ParityReport
from facealign.models.load import Model
from facealign.pipeline import graphs
from facealign.pipeline.contents import golden_of
from facealign.pipeline.graphs import Reference, ShippedGraph, reduced_graphs_of
from facealign.pipeline.precisions import Reductions
from facealign.pipeline.progress import Stage
from facealign.pipeline.reduction import Reduction
from facealign.pipeline.run_crops import graph_runner
from facealign.pipeline.targets import FormRequest, check_targets, form_of
from facealign.pipeline.verify import Points, measure_reduced, remembered_points
from tests.unit.pipeline.small_network import Told

Spoil = Callable[[ir.Model], None]
PURPOSES = {
    "fp16": "TensorRT, and any engine with FP16 kernels",
    "int8": "TensorRT 10.3 and later",
}
SAME_PX = 1e-4  # the same graph, opened twice; measured 0


@pytest.fixture(scope="module")
def reference(real_model: Model) -> Reference:
    return Reference(real_model, golden_of(real_model), remembered_points(real_model))


@pytest.fixture(scope="module")
def shipped(
    real_graph: ir.Model, real_reductions: Reductions, reference: Reference
) -> dict[str, ShippedGraph]:
    """Return FP16 and INT8, and that for ONNX Runtime if it was faster here."""
    graphs = reduced_graphs_of(real_graph, real_reductions, reference, Told())
    return {str(name): graph for name, graph in graphs.items()}


@pytest.fixture
def ship(
    real_graph: ir.Model, real_reductions: Reductions, reference: Reference
) -> Callable[[str, Spoil], object]:
    """Return what ships one precision alone, its graph spoilt before."""

    def ship_one(precision: str, spoil: Spoil) -> object:
        found = next(each for each in real_reductions.kept if each.precision == precision)
        graph = found.shipped.clone()
        spoil(graph)
        alone = replace(real_reductions, reductions=(replace(found, graph=graph),))
        return reduced_graphs_of(real_graph, alone, reference, Told())

    return ship_one


def reduction_of(reductions: Reductions, precision: str) -> Reduction:
    return next(each for each in reductions.kept if each.precision == precision)


def test_no_reductions_are_no_graphs(real_graph: ir.Model, reference: Reference) -> None:
    assert reduced_graphs_of(real_graph, None, reference, Told()) == {}


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_shipped_graph_is_a_whole_file(shipped: dict[str, ShippedGraph], precision: str) -> None:
    graph = shipped[precision]

    onnx.checker.check_model(onnx.load_from_string(graph.data), full_check=True)
    assert graph.entry.file == f"model.{precision}.onnx"
    assert graph.entry.opset == OPSET
    assert graph.entry.node_count == len(graph_from_bytes(graph.data).graph)
    assert graph.entry.purpose == PURPOSES[precision]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_shipped_graph_says_its_precision_and_its_origin(
    shipped: dict[str, ShippedGraph], real_graph: ir.Model, precision: str
) -> None:
    said = graph_from_bytes(shipped[precision].data).metadata_props

    of_fp32 = real_graph.metadata_props
    assert of_fp32["facealign.precision"] == "fp32"
    assert said == {**of_fp32, "facealign.precision": precision}


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_graph_that_was_judged_stays_as_it_was(
    shipped: dict[str, ShippedGraph], real_reductions: Reductions, precision: str
) -> None:
    judged = reduction_of(real_reductions, precision).shipped

    assert judged.metadata_props["facealign.precision"] == "fp32"  # that it was made of
    assert node_counts(judged) == node_counts(graph_from_bytes(shipped[precision].data))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_verdict_is_what_was_measured(
    shipped: dict[str, ShippedGraph], real_reductions: Reductions, precision: str
) -> None:
    reduction = reduction_of(real_reductions, precision)
    found = reduction.judgements[reduction.chosen.left]

    verdict = shipped[precision].entry.verdict

    assert verdict is not None
    assert (verdict.p99_px, verdict.max_px) == (found.p99_px, found.max_px)
    assert (verdict.change_points, verdict.drift_percent) == (
        found.change_points,
        found.drift_percent,
    )
    assert (verdict.change_low_points, verdict.change_high_points) == found.change_interval
    assert (verdict.bar_px, verdict.budget_points) == (
        reduction.limits.p99_px,
        reduction.limits.change_points,
    )
    assert (verdict.share, verdict.left_float) == (reduction.chosen.share, reduction.chosen.left)
    assert verdict.face_count == len(real_reductions.judge.held_out.crops)
    assert (verdict.nme_percent, verdict.nme_fp32_percent) == (None, None)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_golden_distances_are_those_of_the_graph(
    shipped: dict[str, ShippedGraph], reference: Reference, precision: str
) -> None:
    graph, golden = shipped[precision], reference.golden

    found = graph_runner(graph.data)(golden.crops)

    off_px = np.linalg.norm(found - golden.landmarks, axis=2) * golden.crops.shape[1]
    assert graph.entry.golden_px == pytest.approx(off_px.max(axis=1).tolist(), abs=SAME_PX)
    assert max(graph.entry.golden_px) > 0


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_parity_of_a_reduced_graph_is_stated_without_a_bar(
    shipped: dict[str, ShippedGraph], precision: str
) -> None:
    parity = shipped[precision].entry.parity

    assert parity.bar_px is None
    assert parity.max_px >= parity.p99_px > 0
    assert parity.crop_count == 72


def coordinates_through_half(graph: ir.Model) -> None:
    """Cast the landmarks to FP16 and back before they leave."""
    value = graph.graph.outputs[0]
    node = value.producer()
    assert node is not None
    before = node.inputs[0]
    assert before is not None
    down = _cast(before, ir.DataType.FLOAT16)
    up = _cast(down.outputs[0], ir.DataType.FLOAT)
    graph.graph.insert_before(node, [down, up])
    node.replace_input_with(0, up.outputs[0])


def moved_zero_point(graph: ir.Model) -> None:
    """Let the first activation have its zero elsewhere, as calibrators with offsets do."""
    node = next(each for each in graph.graph if each.op_type == "QuantizeLinear")
    zero_point = node.inputs[2]
    assert zero_point is not None
    assert zero_point.const_value is not None
    zero_point.const_value = ir.tensor(zero_point.const_value.numpy() + 3, name=zero_point.name)


def no_numbers(graph: ir.Model) -> None:
    """Add nought divided by nought to the landmarks."""
    node = graph.graph.outputs[0].producer()
    assert node is not None
    before = node.inputs[0]
    assert before is not None
    zero = ir.node("Sub", [before, before])
    lost = ir.node("Div", [zero.outputs[0], zero.outputs[0]])
    spoilt = ir.node("Add", [before, lost.outputs[0]])
    for each in (zero, lost, spoilt):
        each.outputs[0].type, each.outputs[0].shape = before.type, before.shape
    graph.graph.insert_before(node, [zero, lost, spoilt])
    node.replace_input_with(0, spoilt.outputs[0])


@pytest.mark.parametrize(
    ("precision", "spoil", "message"),
    [
        pytest.param(
            "fp16", coordinates_through_half, r"gives coordinates in FLOAT16; they stay", id="fp16"
        ),
        pytest.param(
            "int8", coordinates_through_half, r"gives coordinates in FLOAT16; they stay", id="int8"
        ),
        pytest.param("int8", moved_zero_point, r"zero", id="zero-point"),
    ],
)
def test_planted_fault_in_a_reduced_graph_is_caught(
    ship: Callable[[str, Spoil], object], precision: str, spoil: Spoil, message: str
) -> None:
    with pytest.raises(GraphContractError, match=message):
        ship(precision, spoil)


def test_reduced_graph_that_gives_no_numbers_is_refused(
    ship: Callable[[str, Spoil], object],
) -> None:
    with pytest.raises(ParityError, match=r"the fp16 graph gives .* no numbers .* leave fp16 out"):
        ship("fp16", no_numbers)


def test_reduced_graph_whose_score_is_no_number_is_refused(
    ship: Callable[[str, Spoil], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_score(model: Model, data: bytes, points: Points, stage: Stage) -> ParityReport:
        report = measure_reduced(model, data, points, stage)
        return replace(report, extra={"pose": 0.01, "score": float("inf")})

    monkeypatch.setattr(graphs, "measure_reduced", without_score)

    with pytest.raises(ParityError, match=r"the fp16 graph gives no numbers as `score` on one of"):
        ship("fp16", lambda _: None)


def _cast(value: ir.Value, to: ir.DataType) -> ir.Node:
    made = ir.Value(name=f"{value.name}.{to}", type=ir.TensorType(to), shape=value.shape)
    return ir.node("Cast", [value], {"to": int(to)}, outputs=[made])


def test_shipped_int8_is_written_for_its_targets(
    real_graph: ir.Model, real_reductions: Reductions, reference: Reference
) -> None:
    alone = replace(real_reductions, reductions=(reduction_of(real_reductions, "int8"),))
    form = form_of(FormRequest(("jetpack-6.0",)))

    graphs = reduced_graphs_of(real_graph, alone, replace(reference, form=form), Told())

    assert graphs["int8"].entry.opset == 17
    assert graphs["int8"].entry.purpose == "its older targets, and TensorRT 10.3 and later"
    check_targets({"int8": graph_from_bytes(graphs["int8"].data)}, form.targets)
