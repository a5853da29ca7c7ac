"""Rules on the types, zero points, scales and axes of QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from facealign.export.graph import node_label, node_name
from facealign.export.tensorrt.by_release import quantized_types_beyond
from facealign.export.tensorrt.values import (
    Problem,
    constant_array,
    each_node,
    input_of,
    is_external,
    is_weight,
    opset_of,
    quantizer,
)

__all__ = [
    "quantized_types",
    "scale_shapes",
    "scale_types",
    "scales",
    "weight_axes",
    "zero_points",
]

_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_SCALE, _ZERO_POINT = 1, 2  # input positions of both
_FIRST_TYPED_OPSET = 19


@each_node
def quantized_types(node: ir.Node) -> Iterator[Problem]:
    """Find quantised types other than INT8; a bias of INT32 is left to its own rule.

    Source: onnx_support.json note ``qdq-rules`` (UINT8 is read as INT8 with a warning);
    facts/tensorrt.md sec. 2.3 (Orin: no FP8, no FP4), 4 trap 2 (INT4 raises the opset to 21).
    """
    yield from quantized_types_beyond(node, (ir.DataType.INT8,))


@each_node
def zero_points(node: ir.Node) -> Iterator[Problem]:
    """Find zero points that are not zero, or not constant.

    Source: facts/tensorrt.md sec. 3.3 (QuantDequantLinearHelper, 10.1-GA).
    """
    if node.op_type not in _QUANTIZERS or input_of(node, _ZERO_POINT) is None:
        return
    found = constant_array(input_of(node, _ZERO_POINT))
    if found is None:
        yield _unread(node, _ZERO_POINT, "zero point", "make it a constant 0")
    elif (wrong := found[found != 0]).size:
        yield Problem(
            f"{node_label(node)} has a zero point of {int(wrong.flat[0])}",
            "TensorRT takes 0 alone, so quantise symmetrically",
        )


@each_node
def scales(node: ir.Node) -> Iterator[Problem]:
    """Find scales that are not constant, not finite or not above zero.

    Source: facts/tensorrt.md sec. 3.3 (scales constant, strictly positive).
    """
    if node.op_type not in _QUANTIZERS:
        return
    found = constant_array(input_of(node, _SCALE))
    if found is None:
        yield _unread(node, _SCALE, "scale", "make it an initializer")
        return
    values = found.astype(np.float64).ravel()
    wrong = values[~(np.isfinite(values) & (values > 0))]
    if wrong.size:
        yield Problem(
            f"{node_label(node)} has a scale of {wrong[0]:g}",
            f"it must be finite and above 0 in {found.dtype.name}, so calibrate again or leave it "
            "in float",
        )


def _unread(node: ir.Node, index: int, what: str, fix: str) -> Problem:
    value = input_of(node, index)
    if value is not None and is_external(value):
        return Problem(
            f"{node_label(node)} has a {what} that lies in another file",
            "save the model as one file",
        )
    return Problem(f"{node_label(node)} has a {what} that is not in the graph", fix)


def scale_types(model: ir.Model) -> Iterator[Problem]:
    """Find scales of another type than the data, from opset 19 on.

    Below, the parser casts them. A DequantizeLinear has no data of its own: it gives the type of
    its scale.

    Source: facts/tensorrt.md sec. 3.3; onnx_support.json note ``qdq-types``.
    """
    if opset_of(model) < _FIRST_TYPED_OPSET:
        return
    for node in model.graph.all_nodes():
        if node.op_type != "QuantizeLinear":
            continue
        data, scale = input_of(node, 0), input_of(node, _SCALE)
        if data is not None and scale is not None and data.dtype != scale.dtype:
            yield Problem(
                f"{node_label(node)} has {data.dtype} data and a {scale.dtype} scale",
                "from opset 19 on give both one type",
                (node_name(node),),
            )


@each_node
def scale_shapes(node: ir.Node) -> Iterator[Problem]:
    """Find scales per axis on activations, blocked ones, and a count unlike that of the axis.

    Source: facts/tensorrt.md sec. 3.3 (per-axis only on weights, count = dim[axis]); note
    ``qdq-rules``. Blocks are INT4's.
    """
    scale = constant_array(input_of(node, _SCALE)) if node.op_type in _QUANTIZERS else None
    if scale is None or scale.size == 1:
        return
    if scale.ndim > 1:
        yield Problem(
            f"{node_label(node)} has {scale.ndim}-D scales",
            "INT8 takes one, or one per channel",
        )
    elif not is_weight(node):
        yield Problem(
            f"{node_label(node)} has {scale.size} scales on an activation",
            "give it one",
        )
    else:
        yield from _count_problems(node, scale.size)


def _count_problems(node: ir.Node, count: int) -> Iterator[Problem]:
    value = input_of(node, 0)
    if value is None or value.shape is None:
        return
    axis = _axis(node, len(value.shape))
    length = value.shape[axis] if 0 <= axis < len(value.shape) else "none"
    if length != count:
        yield Problem(
            f"{node_label(node)} has {count} scales, and axis {axis} is {length}",
            "they must agree",
        )


def _axis(node: ir.Node, rank: int) -> int:
    axis = node.attributes.get_int("axis", 1)
    return axis if axis >= 0 else axis + rank


@each_node
def weight_axes(node: ir.Node) -> Iterator[Problem]:
    """Find weights that are scaled along another axis than that of the output channels.

    Conv: 0. MatMul: the last, or the last but one for weights on the left. Gemm: by `transB`.
    ConvTranspose takes one scale: releases contradict each other in the axis.

    Source: facts/tensorrt.md sec. 3.3, ConvTranspose (NVIDIA/TensorRT#1694, #2380; toolkit); for
    MatMul and Gemm only sums over the axis without scales stay sums of integers.
    """
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return
    for index in (0, 1):
        value = input_of(node, index)
        if value is None or value.shape is None:
            continue
        expected, pair = _followed(value, _output_axis(node, index, len(value.shape)))
        for quantize in pair:
            yield from _axis_problems(node, quantize, expected)


def _output_axis(node: ir.Node, index: int, rank: int) -> int | None:
    """Return the axis of the output channels in an input, or nothing if one scale must do."""
    if node.op_type == "Conv" and index == 1:
        return 0
    if node.op_type == "MatMul" and rank > 1:
        return rank - 1 if index == 1 else rank - 2
    if node.op_type == "Gemm":
        is_transposed = node.attributes.get_int("transB" if index == 1 else "transA", 0)
        return index if not is_transposed else 1 - index
    return None


def _followed(value: ir.Value, axis: int | None) -> tuple[int | None, list[ir.Node]]:
    """Return `axis` as the Q/DQ pair behind `value` sees it, and that pair if of a weight."""
    node = value.producer()
    while node is not None and node.op_type in ("Cast", "Identity", "Transpose"):
        source = node.inputs[0]
        if node.op_type == "Transpose" and axis is not None and value.shape is not None:
            backward = tuple(reversed(range(len(value.shape))))
            axis = list(node.attributes.get_ints("perm", backward))[axis]
        node = None if source is None else source.producer()
    if node is None or node.op_type != "DequantizeLinear" or not is_weight(node):
        return axis, []
    first = quantizer(node)
    return axis, [node] if first is None else [first, node]


def _axis_problems(node: ir.Node, quantize: ir.Node, expected: int | None) -> Iterator[Problem]:
    scale, value = constant_array(input_of(quantize, _SCALE)), input_of(quantize, 0)
    if scale is None or scale.size == 1 or value is None or value.shape is None:
        return
    axis = _axis(quantize, len(value.shape))
    if expected is None:
        yield Problem(
            f"{node_label(quantize)} has {scale.size} scales for {node_label(node)}, of which "
            "releases disagree on the axis",
            "give it one, or leave it in float",
        )
    elif axis != expected:
        yield Problem(
            f"{node_label(quantize)} has its scales along axis {axis} of the weight of "
            f"{node_label(node)}",
            f"put them along {expected}, that of the output channels",
        )
