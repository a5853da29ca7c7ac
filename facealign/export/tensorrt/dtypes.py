"""Rules on the types of tensors."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from facealign.export.graph import node_label, node_name
from facealign.export.tensorrt.values import (
    Problem,
    each_node,
    input_of,
)

__all__ = [
    "grid_sample_in_half",
    "grid_sample_types",
    "half_precision_square",
    "mixed_types",
    "uint8_shapes",
    "uint8_tensors",
    "unknown_types",
    "unsupported_types",
]

_Type = ir.DataType
_FLOATS = (_Type.FLOAT, _Type.FLOAT16, _Type.BFLOAT16)
_KNOWN = (*_FLOATS, _Type.INT32, _Type.INT64, _Type.BOOL)
_QUANTIZED = (
    _Type.INT8,
    _Type.INT4,
    _Type.FLOAT8E4M3FN,
    _Type.FLOAT4E2M1,
)
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
# Their inputs have types of their own by definition, and none is computed with another.
_FREE_TYPES = (*_QUANTIZERS, "GridSample", "Resize", "CastLike", "Dropout", "If", "Loop", "Scan")


@each_node
def unknown_types(node: ir.Node) -> Iterator[Problem]:
    """Find tensors of which shape inference does not know the type: no rule can judge them.

    Source: none of TensorRT's; without types the rules of facts/tensorrt.md cannot be asked.
    """
    for value in node.outputs:
        if value.dtype is None and value.name:
            yield Problem(
                f"`{value.name}` of {node_label(node)} has no inferred type",
                "infer shapes, or state it in the file",
            )


def unsupported_types(model: ir.Model) -> Iterator[Problem]:
    """Find tensors of a type that TensorRT lacks, double among them.

    Source: the types in onnx_support.json; INT64 is real from 9.0 (facts/tensorrt.md sec. 2.1).
    """
    for value, where, nodes in _stated(model):
        if value.dtype in (None, *_KNOWN, _Type.UINT8) or _is_quantized(value):
            continue
        if value.dtype in _QUANTIZED:
            name = value.dtype.name
            yield Problem(
                f"{where} is {name}, which stands between Q and DQ alone",
                "cast to FLOAT",
                nodes,
            )
        else:
            yield Problem(
                f"{where} is {value.dtype.name}",
                "TensorRT has no such type, so cast to FLOAT",
                nodes,
            )


def uint8_tensors(model: ir.Model) -> Iterator[Problem]:
    """Find UINT8 other than inputs that Cast or Shape reads and outputs that a Cast gives.

    Source: facts/tensorrt.md sec. 2.1; onnx_support.json note ``uint8``.
    """
    for value, where, nodes in _stated(model):
        if value.dtype != _Type.UINT8 or _is_quantized(value):
            continue
        producer = value.producer()
        cast_from = value.is_graph_input() and _is_read_by_casts(value)
        cast_to = value.is_graph_output() and producer is not None and producer.op_type == "Cast"
        if not cast_from and not cast_to:
            yield Problem(
                f"{where} is UINT8",
                "only an input or output may be, with a Cast next to it",
                nodes,
            )


def _stated(model: ir.Model) -> Iterator[tuple[ir.Value, str, tuple[str, ...]]]:
    """Yield every input, initializer and output of a node, what messages call it, and the node."""
    for graph in model.graphs():
        for value in graph.inputs:
            yield value, f"input `{value.name}`", ()
        for value in graph.initializers.values():
            if not value.is_graph_input():
                yield value, f"initializer `{value.name}`", ()
        for node in graph:
            for value in node.outputs:
                yield value, f"`{value.name}` of {node_label(node)}", (node_name(node),)


def _is_quantized(value: ir.Value) -> bool:
    """Return whether only Q/DQ have to do with a value: their own rules find its type."""
    producer = value.producer()
    if producer is not None and producer.op_type == "QuantizeLinear":
        return True
    nodes = [use.node for use in value.uses()]
    return bool(nodes) and all(node.op_type in _QUANTIZERS for node in nodes)


def _is_read_by_casts(value: ir.Value) -> bool:
    return all(use.node.op_type in ("Cast", "Shape") for use in value.uses())


@each_node
def uint8_shapes(node: ir.Node) -> Iterator[Problem]:
    """Warn of Shape of a UINT8 input: it reads no number, but its row has no UINT8.

    Source: onnx_support.json, row of Shape, 10.3 to 11.4.
    """
    value = input_of(node, 0)
    if node.op_type == "Shape" and value is not None and value.dtype == _Type.UINT8:
        yield Problem(
            f"{node_label(node)} reads UINT8 `{value.name}`",
            "ask for the shape of its Cast",
        )


@each_node
def mixed_types(node: ir.Node) -> Iterator[Problem]:
    """Find operators with floats of two types, which a strongly typed network refuses.

    Source: facts/tensorrt.md sec. 1.4 (strong typing) and the acceptance of the typed graph.
    """
    if node.op_type in _FREE_TYPES:
        return
    found = {
        value.dtype.name
        for value in node.inputs
        if value is not None and value.dtype is not None and value.dtype in _FLOATS
    }
    if len(found) > 1:
        yield Problem(
            f"{node_label(node)} mixes {' and '.join(sorted(found))}",
            "cast to one type",
        )


@each_node
def grid_sample_types(node: ir.Node) -> Iterator[Problem]:
    """Warn of GridSample with a map and a grid of two types.

    Source: facts/tensorrt.md sec. 3.2 (whether TensorRT takes two types is not tested).
    """
    if node.op_type != "GridSample":
        return
    image, grid = (
        None if (value := input_of(node, index)) is None else value.dtype for index in (0, 1)
    )
    if image != grid:
        yield Problem(
            f"{node_label(node)} has a {image} map and a {grid} grid",
            "ONNX allows it, TensorRT was not tested: test it on the device",
        )


def grid_sample_in_half(model: ir.Model) -> Iterator[Problem]:
    """Warn of FP32 GridSample in an FP16 network.

    Source: facts/tensorrt.md sec. 3.1 (pytorch/TensorRT#4074, open: wrong since 10.14.1 when the
    rest is FP16).
    """
    nodes = list(model.graph.all_nodes())
    if not any(value.dtype == _Type.FLOAT16 for node in nodes for value in node.outputs):
        return
    for node in nodes:
        types = {None if value is None else value.dtype for value in node.inputs[:2]}
        if node.op_type == "GridSample" and types == {_Type.FLOAT}:
            yield Problem(
                f"{node_label(node)} is FP32 in a network with FP16, reported wrong since 10.14.1 "
                "(pytorch/TensorRT#4074)",
                "test it on the device",
                (node_name(node),),
            )


@each_node
def half_precision_square(node: ir.Node) -> Iterator[Problem]:
    """Warn of squares in FP16 that are averaged: a LayerNormalization in parts, which overflows.

    Source: facts/tensorrt.md sec. 3.2 (NVIDIA/TensorRT#2564, #2781, #3692, #4111, #4493).
    """
    if node.op_type not in ("ReduceMean", "ReduceSum"):
        return
    value = input_of(node, 0)
    square = None if value is None else value.producer()
    if square is None or square.outputs[0].dtype != _Type.FLOAT16:
        return
    if square.op_type == "Pow" or (
        square.op_type == "Mul" and square.inputs[0] is square.inputs[1]
    ):
        yield Problem(
            f"{node_label(node)} averages squares in FP16, which overflow above 255",
            "keep LayerNormalization as one node, or cast to FP32",
        )
