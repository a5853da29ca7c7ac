"""Faults to plant in the graph of the tiny SLPT: in what it computes, and in its form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tests.conformance.slpt_faults import Fault, listed_in

__all__ = ["FORM_FAULTS", "GRAPH_FAULTS"]

GRAPH_FAULTS: list[Fault[ir.Model]] = []
FORM_FAULTS: list[Fault[ir.Model]] = []


@listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_aligns_corners(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["align_corners"] = ir.AttrInt64("align_corners", 1)


@listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_takes_nearest(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["mode"] = ir.AttrString("mode", "nearest")


@listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_is_bicubic(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["mode"] = ir.AttrString("mode", "bicubic")


@listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_shifted_by_half_a_cell(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        _insert(graph, node, 1, "Add", _initializer(graph, np.full(1, 1 / 16, np.float32)))


@listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_rounded_to_half_precision(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        _insert(graph, node, 1, "Cast", to=ir.DataType.FLOAT16)
        _insert(graph, node, 1, "Cast", to=ir.DataType.FLOAT)


@listed_in(GRAPH_FAULTS, "stage3.tokens")
def grid_of_last_stage_is_that_of_the_stage_before(graph: ir.Model) -> None:
    _, before, last = _nodes(graph, "GridSample")
    last.replace_input_with(1, _input(before, 1))


@listed_in(GRAPH_FAULTS, "stage2.tokens")
def boxes_not_clamped(graph: ir.Model) -> None:
    for node in _nodes(graph, "Clip"):
        node.outputs[0].replace_all_uses_with(_input(node, 0))


@listed_in(GRAPH_FAULTS, "stage1.decoded")
def softmax_over_the_queries(graph: ir.Model) -> None:
    for node in _nodes(graph, "Softmax"):
        node.attributes["axis"] = ir.AttrInt64("axis", 2)


@listed_in(GRAPH_FAULTS, "stage1.decoded")
def feed_forward_with_leaky_relu(graph: ir.Model) -> None:
    for node in _feed_forward_relus(graph):
        node.op_type = "LeakyRelu"  # its slope is 0.01


@listed_in(GRAPH_FAULTS, "stage1.decoded")
def feed_forward_with_gelu(graph: ir.Model) -> None:
    for node in _feed_forward_relus(graph):
        _replace_by_gelu(graph, node)


@listed_in(GRAPH_FAULTS, "stage3.decoded")
def last_residual_connection_left_out(graph: ir.Model) -> None:
    norm = _nodes(graph, "LayerNormalization")[-1]
    addition = _input(norm, 0).producer()
    assert addition is not None
    norm.replace_input_with(0, _input(addition, 1))


@listed_in(GRAPH_FAULTS, "stage2.landmarks")
def box_of_second_stage_is_half_as_large(graph: ir.Model) -> None:
    producers = {value.name: node for node in graph.graph for value in node.outputs}
    addition = producers["stage2.landmarks"]
    offset = next(v for v in addition.inputs if v is not None and _is_made_by(v, "Mul"))
    half = _initializer(graph, np.array(0.5, np.float32))
    _insert(graph, addition, addition.inputs.index(offset), "Mul", half)


@listed_in(GRAPH_FAULTS, "backbone")
def one_relu_of_the_backbone_left_out(graph: ir.Model) -> None:
    node = _nodes(graph, "Relu")[0]
    node.outputs[0].replace_all_uses_with(_input(node, 0))


@listed_in(GRAPH_FAULTS, "backbone")
def resize_with_asymmetric_coordinates(graph: ir.Model) -> None:
    _set_in_resizes(graph, "coordinate_transformation_mode", "asymmetric")


@listed_in(GRAPH_FAULTS, "backbone")
def resize_with_aligned_corners(graph: ir.Model) -> None:
    _set_in_resizes(graph, "coordinate_transformation_mode", "align_corners")


@listed_in(GRAPH_FAULTS, "backbone")
def resize_to_nearest(graph: ir.Model) -> None:
    _set_in_resizes(graph, "mode", "nearest")


@listed_in(GRAPH_FAULTS, "backbone")
def resize_scales_a_little_too_large(graph: ir.Model) -> None:
    for node in _nodes(graph, "Resize"):
        scales = np.array([1, 1, 1.01, 1.01], np.float32) * _array_of(_input(node, 2))
        node.replace_input_with(2, _initializer(graph, scales.astype(np.float32)))


@listed_in(GRAPH_FAULTS, "backbone")
def convolution_with_bias_of_another(graph: ir.Model) -> None:
    first, second = (node for node in _nodes(graph, "Conv")[:2])
    first.replace_input_with(2, _input(second, 2))


@listed_in(FORM_FAULTS, r"GridSample `.*` has mode 'linear'; TensorRT reads it as nearest")
def grid_sample_spelled_as_in_opset_20(graph: ir.Model) -> None:
    _nodes(graph, "GridSample")[0].attributes["mode"] = ir.AttrString("mode", "linear")


@listed_in(FORM_FAULTS, r"GridSample `.*` has a FLOAT16 grid; coordinates stay in FP32")
def grid_in_half_precision(graph: ir.Model) -> None:
    _input(_nodes(graph, "GridSample")[0], 1).dtype = ir.DataType.FLOAT16


@listed_in(FORM_FAULTS, r"Cast `spoiled` goes to FLOAT16 in a graph that is named fp32")
def cast_to_half_precision(graph: ir.Model) -> None:
    _append(graph, "Cast", ir.DataType.FLOAT16, to=ir.DataType.FLOAT16)


@listed_in(FORM_FAULTS, r"Cast `spoiled` gives DOUBLE; TensorRT has no such type")
def cast_to_double_precision(graph: ir.Model) -> None:
    _append(graph, "Cast", ir.DataType.DOUBLE, to=ir.DataType.DOUBLE)


@listed_in(FORM_FAULTS, r"NonZero `spoiled` is not allowed: its output shape depends on data")
def boolean_index_with_non_zero(graph: ir.Model) -> None:
    _append(graph, "NonZero", ir.DataType.INT64)


@listed_in(FORM_FAULTS, r"ScatterND `spoiled` is not allowed: an in-place write")
def in_place_write_with_scatter(graph: ir.Model) -> None:
    _append(graph, "ScatterND", ir.DataType.FLOAT)


@listed_in(FORM_FAULTS, r"Loop `spoiled` is not allowed: control flow; unroll it")
def loop_over_the_batch(graph: ir.Model) -> None:
    _append(graph, "Loop", ir.DataType.FLOAT)


@listed_in(FORM_FAULTS, r"If `spoiled` is not allowed: control flow breaks TensorRT 11\.1")
def branch_on_a_value(graph: ir.Model) -> None:
    _append(graph, "If", ir.DataType.FLOAT)


@listed_in(FORM_FAULTS, r"Dropout `spoiled` is not allowed: training left in the graph")
def dropout_left_in(graph: ir.Model) -> None:
    _append(graph, "Dropout", ir.DataType.FLOAT)


@listed_in(FORM_FAULTS, r"BatchNormalization `spoiled` is in training mode; call `eval\(\)`")
def batch_norm_in_training_mode(graph: ir.Model) -> None:
    _append(graph, "BatchNormalization", ir.DataType.FLOAT, training_mode=1)


@listed_in(FORM_FAULTS, r"FusedConv `spoiled` is a custom operator of 'com\.microsoft'")
def operator_of_one_vendor(graph: ir.Model) -> None:
    _append(graph, "FusedConv", ir.DataType.FLOAT, domain="com.microsoft")


@listed_in(FORM_FAULTS, r"only standard operators are allowed, got domain 'com\.microsoft'")
def domain_of_one_vendor(graph: ir.Model) -> None:
    graph.graph.opset_imports["com.microsoft"] = 1


@listed_in(FORM_FAULTS, r"opset must be 19, got 20; TensorRT misreads GridSample of opset 20")
def opset_20(graph: ir.Model) -> None:
    graph.graph.opset_imports[""] = 20


@listed_in(FORM_FAULTS, r"outputs must be \['landmarks'\], got \['landmarks', 'backbone'\]")
def probe_left_among_the_outputs(graph: ir.Model) -> None:
    values = {value.name: value for node in graph.graph for value in node.outputs}
    graph.graph.outputs.append(values["backbone"])


@listed_in(FORM_FAULTS, r"inputs must be \['image'\], got \['input_1'\]")
def input_renamed(graph: ir.Model) -> None:
    graph.graph.inputs[0].name = "input_1"


@listed_in(FORM_FAULTS, r"outputs must be \['landmarks'\], got \['output_0'\]")
def output_renamed(graph: ir.Model) -> None:
    graph.graph.outputs[0].name = "output_0"


@listed_in(FORM_FAULTS, r"input `image` must be \('B', 64, 64, 3\), got \(2, 64, 64, 3\)")
def batch_of_two_baked_in(graph: ir.Model) -> None:
    graph.graph.inputs[0].shape = ir.Shape([2, 64, 64, 3])


@listed_in(FORM_FAULTS, r"output `landmarks` must be \('B', 98, 2\), got \(2, 98, 2\)")
def batch_of_two_baked_into_the_output(graph: ir.Model) -> None:
    graph.graph.outputs[0].shape = ir.Shape([2, 98, 2])


@listed_in(FORM_FAULTS, r"input `image` must be \('B', 64, 64, 3\), got \('B', 3, 64, 64\)")
def channels_first(graph: ir.Model) -> None:
    graph.graph.inputs[0].shape = ir.Shape(["B", 3, 64, 64])


@listed_in(FORM_FAULTS, r"input `image` must be uint8, got FLOAT")
def floating_point_input(graph: ir.Model) -> None:
    graph.graph.inputs[0].dtype = ir.DataType.FLOAT


@listed_in(FORM_FAULTS, r"`backbone` of .* has no inferred shape")
def shape_not_inferred(graph: ir.Model) -> None:
    values = {value.name: value for node in graph.graph for value in node.outputs}
    values["backbone"].shape = None


def _nodes(graph: ir.Model, op_type: str) -> list[ir.Node]:
    found = [node for node in graph.graph if node.op_type == op_type]
    assert found, f"the graph has no {op_type}"
    return found


def _is_made_by(value: ir.Value, op_type: str) -> bool:
    producer = value.producer()
    return producer is not None and producer.op_type == op_type


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _feed_forward_relus(graph: ir.Model) -> Iterator[ir.Node]:
    for node in _nodes(graph, "Relu"):
        if _is_made_by(_input(node, 0), "Gemm"):
            yield node


def _replace_by_gelu(graph: ir.Model, node: ir.Node) -> None:
    """Put x * sigmoid(1.702 x) in the place of relu(x); opset 19 has no Gelu."""
    x = _input(node, 0)
    factor = _initializer(graph, np.array(1.702, np.float32))
    scaled = ir.node("Mul", [x, factor])
    gate = ir.node("Sigmoid", [scaled.outputs[0]])
    gelu = ir.node("Mul", [x, gate.outputs[0]])
    graph.graph.insert_before(node, [scaled, gate, gelu])
    node.outputs[0].replace_all_uses_with(gelu.outputs[0])


def _set_in_resizes(graph: ir.Model, name: str, value: str) -> None:
    for node in _nodes(graph, "Resize"):
        node.attributes[name] = ir.AttrString(name, value)


def _array_of(value: ir.Value) -> NDArray[np.float32]:
    assert value.const_value is not None
    return np.asarray(value.const_value.numpy(), np.float32)


def _initializer(graph: ir.Model, array: NDArray[np.float32]) -> ir.Value:
    name = f"spoiled_{len(graph.graph.initializers)}"
    value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
    graph.graph.initializers.add(value)
    return value


def _insert(
    graph: ir.Model, node: ir.Node, index: int, op_type: str, *others: ir.Value, **attributes: int
) -> None:
    """Put an operator before an input of a node."""
    inserted = ir.node(op_type, [_input(node, index), *others], attributes=attributes)
    graph.graph.insert_before(node, inserted)
    node.replace_input_with(index, inserted.outputs[0])


def _append(
    graph: ir.Model, op_type: str, dtype: ir.DataType, *, domain: str = "", **attributes: int
) -> None:
    """Add an operator on the landmarks whose result nothing reads."""
    landmarks = graph.graph.outputs[0]
    node = ir.node(op_type, [landmarks], attributes=attributes, domain=domain, name="spoiled")
    node.outputs[0].name = "spoiled_0"
    node.outputs[0].dtype, node.outputs[0].shape = dtype, landmarks.shape
    graph.graph.append(node)
