"""Graphs for targets: in their form, or refused in one line."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.errors import TargetError
from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize
from facealign.pipeline.precision_request import PrecisionRequest
from facealign.pipeline.run_crops import graph_runner
from facealign.pipeline.targets import (
    Form,
    PatchCropForm,
    check_targets,
    fitted_request,
    judge_targets,
    lowered_for,
    refusal_lines,
)
from facealign.targets import discover_targets, targets_from_names
from tests.patch_crop_bundle import patch_crop_graph
from tests.unit.pipeline.small_network import crops_for

SAME_NORM = 1e-5  # of the crop
ALL = ("fp32", "fp16", "int8")


@pytest.fixture
def normed() -> ir.Model:
    """Return a graph of opset 19 with a LayerNormalization."""
    text = """
    <ir_version: 9, opset_import: ["": 19]>
    g (float[B, 4] x) => (float[B, 4] y)
    <float[4] scale = {1, 2, 3, 4}, float[4] bias = {0, 0, 0, 1}>
    { [n] y = LayerNormalization(x, scale, bias) }
    """
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))


def test_lowered_for_leaves_graph_to_targets_that_read_it(small: ir.Model) -> None:
    targets = targets_from_names(["jetpack-6.2", "tensorrt-11", "onnxruntime"])

    assert lowered_for(small, "fp32", Form(targets)) is small


def test_lowered_for_writes_the_opset_of_the_oldest(small: ir.Model) -> None:
    targets = targets_from_names(["tensorrt-11", "jetpack-6.0"])
    crops = crops_for(4)

    lowered = lowered_for(small, "fp32", Form(targets))

    assert lowered.opset_imports[""] == 17
    found, expected = (graph_runner(bytes_from_graph(graph))(crops) for graph in (lowered, small))
    np.testing.assert_allclose(found, expected, atol=SAME_NORM)
    check_targets({"fp32": lowered}, targets)


@pytest.mark.parametrize(
    ("target", "is_kept"), [("jetpack-5.1", False), ("jetpack-6.0", True), ("tensorrt-11", True)]
)
def test_lowered_for_decomposes_what_a_target_lacks(
    normed: ir.Model, target: str, is_kept: bool
) -> None:
    lowered = lowered_for(normed, "fp32", Form(targets_from_names([target])))

    assert ("LayerNormalization" in {node.op_type for node in lowered.graph}) == is_kept


def test_lowered_for_leaves_what_is_for_another_engine(
    small: ir.Model, small_ranges: dict[str, float]
) -> None:
    graph = for_cpu(small, small_ranges)

    assert lowered_for(graph, "int8-cpu", Form(targets_from_names(["jetpack-5.1"]))) is graph


@pytest.mark.parametrize("form", ["plugin", "function"])
def test_lowered_for_writes_the_patch_crop_as_asked(form: PatchCropForm) -> None:
    graph = graph_from_bytes(patch_crop_graph("standard"))

    lowered = lowered_for(graph, "fp32", Form(targets_from_names(["jetpack-6.2"]), patch_crop=form))

    assert bytes_from_graph(lowered) == patch_crop_graph(form)


def test_lowered_for_needs_no_plugin_where_tensorrt_reads_nothing() -> None:
    graph = graph_from_bytes(patch_crop_graph("standard"))

    assert lowered_for(graph, "int8-cpu", Form(patch_crop="plugin")) is graph


@pytest.mark.parametrize(
    ("target", "fix"),
    [("jetpack-6.0", "--patch-crop standard"), ("onnxruntime", "--patch-crop function")],
)
def test_lowered_for_refuses_the_plugin_for_a_target_without_it(target: str, fix: str) -> None:
    graph = graph_from_bytes(patch_crop_graph("standard"))

    with pytest.raises(TargetError, match=f"^{target} refuses the fp32 graph: PatchCrop .*{fix}"):
        lowered_for(graph, "fp32", Form(targets_from_names([target]), patch_crop="plugin"))


def test_lowered_for_refuses_what_has_no_lower_form() -> None:
    text = """
    <ir_version: 9, opset_import: ["": 19]> g (float[2] x) => (float16[2] y)
    { c = Cast<to = 10>(x) y = Gelu(c) }
    """
    graph = ir.from_proto(onnx.parser.parse_model(text.replace("19]", "20]")))

    with pytest.raises(
        TargetError, match=r"^the fp32 graph cannot be written for jetpack-6\.0: .*20"
    ):
        lowered_for(graph, "fp32", Form(targets_from_names(["jetpack-6.0"])))


def test_fitted_request_leaves_out_fp16_where_types_are_hints() -> None:
    request = PrecisionRequest(ALL, is_required=False)

    fitted = fitted_request(request, targets_from_names(["jetpack-6.0"]))

    assert fitted.precisions == ("fp32", "int8")


@pytest.mark.parametrize(
    "request_",
    [PrecisionRequest(ALL), PrecisionRequest(ALL, is_required=False, rest="fp16")],
    ids=["required", "rest"],
)
def test_fitted_request_refuses_fp16_that_was_asked_for(request_: PrecisionRequest) -> None:
    with pytest.raises(
        TargetError,
        match=r"^jetpack-6\.0 \(TensorRT 8\.6\.2\) takes the types of a graph for hints, so "
        r"coordinates may run in FP16; leave FP16 out of `--precision` and `--int8-rest`$",
    ):
        fitted_request(request_, targets_from_names(["tensorrt-11", "jetpack-6.0"]))


@pytest.mark.parametrize(
    ("precisions", "targets"),
    [(ALL, ["jetpack-6.2"]), (("fp32", "int8"), ["jetpack-5.1"]), (ALL, [])],
)
def test_fitted_request_leaves_the_rest_alone(
    precisions: tuple[str, ...], targets: list[str]
) -> None:
    request = PrecisionRequest(precisions)

    assert fitted_request(request, targets_from_names(targets)) is request


def test_check_targets_passes_what_is_taken(
    small: ir.Model, small_ranges: dict[str, float]
) -> None:
    graphs = {
        "fp32": small,
        "fp16": half_precision(small),
        "int8": quantize(small, small_ranges),
        "int8-cpu": for_cpu(small, small_ranges),
    }

    check_targets(graphs, [each for each in discover_targets() if each.oldest >= (10, 3)])


def test_check_targets_names_target_graph_reason_and_way_out(normed: ir.Model) -> None:
    with pytest.raises(TargetError) as raised:
        check_targets({"fp32": normed}, targets_from_names(["jetpack-5.1"]))

    assert str(raised.value) == (
        "jetpack-5.1 refuses the fp32 graph: opset 19 is beyond TensorRT 8.5.2, which reads 17; "
        "use opset 17, as `facealign export --target jetpack-5.1` writes it (and 1 more)"
    )
    (other,) = raised.value.items
    assert other == (
        "jetpack-5.1 refuses the fp32 graph: LayerNormalization `n` has no importer in TensorRT "
        "8.5.2, only from 8.6 on; write ReduceMean, Sub, Mul and Sqrt, in FP32"
    )
    assert raised.value.exit_code == 6


def test_judge_targets_asks_each_graph_of_its_engines_alone(
    small: ir.Model, small_ranges: dict[str, float]
) -> None:
    graphs = {"fp32": small, "int8-cpu": for_cpu(small, small_ranges)}

    verdicts = judge_targets(graphs, targets_from_names(["jetpack-6.2", "onnxruntime"]))

    assert [list(verdict.findings) for verdict in verdicts] == [["fp32"], ["fp32", "int8-cpu"]]
    assert [verdict.is_refused for verdict in verdicts] == [False, False]


def test_refusal_lines_are_of_errors_alone(small: ir.Model) -> None:
    (verdict,) = judge_targets({"fp32": small}, targets_from_names(["jetpack-5.1"]))

    lines = refusal_lines(verdict)

    assert len(lines) < len(verdict.findings["fp32"])
    assert [line.partition(":")[0] for line in lines] == ["jetpack-5.1 refuses the fp32 graph"]
