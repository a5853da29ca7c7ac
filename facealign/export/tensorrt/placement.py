"""Rules on where QuantizeLinear and DequantizeLinear stand."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from facealign.export.graph import node_label, node_name
from facealign.export.tensorrt.values import (
    MOVES,
    Problem,
    behind,
    dequantizer,
    each_node,
    input_of,
    is_constant,
    is_weight,
    quantizer,
)

__all__ = [
    "half_quantized_products",
    "quantized_biases",
    "quantized_coordinates",
    "quantized_inputs",
    "quantized_sums",
    "quantizers_behind_convolution",
    "unpaired_quantizers",
]

_CASTS = ("Cast", "Identity")
_CONVOLUTIONS = ("Conv", "ConvTranspose", "BatchNormalization")
_FUSED_BEHIND = ("BatchNormalization", "Relu", "Clip")  # ReLU6 is a Clip
_BIAS = 2  # input position of a bias
_FLOAT_INPUTS = {
    "LayerNormalization": (0, 1, 2),
    "Softmax": (0,),
    "Tanh": (0,),
    "GridSample": (0,),
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
}
# What coordinates go through between the network's last product and a grid or an output.
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Neg", "Clip", "Min", "Max", "Where", "Concat")
_SELECTIONS = ("Slice", "Split", "Gather", "Expand", "Tile", "Pad", *MOVES)
_MAP_RANK = 4  # an output of this rank is a map, not coordinates


@each_node
def unpaired_quantizers(node: ir.Node) -> Iterator[Problem]:
    """Find QuantizeLinear that other than DequantizeLinear reads, and the other way round.

    Source: facts/tensorrt.md sec. 3.3: weights go Constant -> (Cast) -> Q -> DQ -> operator; no
    operator's row in onnx_support.json but those two, Attention's and Gelu's takes INT8. NVIDIA's
    page on explicit quantisation allows a DequantizeLinear on INT8 weights; 10.3 was not read.
    """
    if node.op_type == "QuantizeLinear":
        readers = [use.node for use in node.outputs[0].uses()]
        if node.outputs[0].is_graph_output() or not readers:
            yield Problem(
                f"{node_label(node)} leaves INT8 at its end",
                "put a DequantizeLinear behind it",
            )
        for reader in readers:
            if reader.op_type != "DequantizeLinear":
                yield Problem(
                    f"{node_label(reader)} reads INT8 of {node_label(node)}",
                    "put a DequantizeLinear between",
                )
    elif node.op_type == "DequantizeLinear" and quantizer(node) is None:
        value = input_of(node, 0)
        if value is not None and value.dtype != ir.DataType.INT32:  # a bias has a rule of its own
            yield Problem(
                f"{node_label(node)} has no QuantizeLinear before it",
                "keep the weight in float and quantise it in the graph",
            )


@each_node
def quantized_biases(node: ir.Node) -> Iterator[Problem]:
    """Find biases behind a DequantizeLinear, be they INT32 or INT8.

    Source: facts/tensorrt.md sec. 3.3 (no INT32 quantised type; no Q/DQ on bias).
    """
    value = input_of(node, 0)
    if node.op_type == "DequantizeLinear" and value is not None:
        if value.dtype == ir.DataType.INT32:
            yield Problem(
                f"{node_label(node)} is INT32, a bias",
                "TensorRT cannot read it: keep it in float",
            )
        return
    found = None
    if node.op_type in ("Conv", "ConvTranspose", "Gemm"):
        found = dequantizer(input_of(node, _BIAS))
    elif node.op_type == "Add":
        constants = [pair for value in node.inputs if (pair := dequantizer(value))]
        found = next((pair for pair in constants if is_weight(pair)), None)
    if found is not None:
        yield Problem(
            f"{node_label(node)} has a quantised bias from {node_label(found)}",
            "keep it in float",
        )


@each_node
def quantized_inputs(node: ir.Node) -> Iterator[Problem]:
    """Find Q/DQ in front of what stays in float, also when another reader needs the pair.

    What these operators give may be quantised again, for the product that reads it.

    Source: facts/tensorrt.md sec. 3.3 (no Q/DQ on Softmax, LayerNorm, Tanh, GridSample inputs,
    Gather indices) and 4, trap 3 (on the edge, not on the tensor).
    """
    for index in _FLOAT_INPUTS.get(node.op_type, ()):
        found = dequantizer(input_of(node, index))
        if found is not None:
            yield Problem(
                f"{node_label(node)} reads {node_label(found)} as input {index}",
                "give it the tensor from before the Q/DQ pair",
            )


def quantized_coordinates(model: ir.Model) -> Iterator[Problem]:
    """Find Q/DQ on the way from the last product to a grid, or to an output that is no map.

    Source: facts/tensorrt.md sec. 3.3 (no Q/DQ on coordinates) and 3.2 (landmark arithmetic and
    the final head add stay in FP32).
    """
    for node in model.graph.all_nodes():
        if node.op_type == "GridSample":
            yield from _on_the_way(input_of(node, 1), f"the grid of {node_label(node)}")
    for value in model.graph.outputs:
        if value.shape is None or len(value.shape) < _MAP_RANK:
            yield from _on_the_way(value, f"output `{value.name}`")


def _on_the_way(end: ir.Value | None, what: str) -> Iterator[Problem]:
    open_values, seen = [end], set[ir.Node]()
    while open_values:
        value = open_values.pop()
        node = None if value is None else value.producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.op_type == "DequantizeLinear":
            yield Problem(
                f"{node_label(node)} quantises coordinates of {what}",
                "keep them in float",
                (node_name(node),),
            )
        elif node.op_type in _ARITHMETIC:
            open_values += node.inputs
        elif node.op_type in _SELECTIONS:
            open_values.append(node.inputs[0])


@each_node
def quantizers_behind_convolution(node: ir.Node) -> Iterator[Problem]:
    """Find Q/DQ between a convolution and the normalisation or ReLU that is fused into it.

    Source: facts/tensorrt.md sec. 3.3 (no Q/DQ between Conv and BN or ReLU).
    """
    if node.op_type not in _FUSED_BEHIND:
        return
    found = dequantizer(input_of(node, 0), _CASTS)
    source = None if found is None else _convolution_before(found)
    if found is not None and source is not None:
        yield Problem(
            f"{node_label(found)} stands between {node_label(source)} and {node_label(node)}",
            f"quantise what {node.op_type} gives instead",
        )


@each_node
def quantized_sums(node: ir.Node) -> Iterator[Problem]:
    """Warn of a residual sum with Q/DQ on both sides, of which one comes from a convolution.

    The numbers are right; the sum is no longer fused into the convolution.

    Source: facts/tensorrt.md sec. 3.3 (on the skip branch only, or on both when the other side is
    INT8 too; NVIDIA/TensorRT#2204, #1532, #3197).
    """
    if node.op_type != "Add":
        return
    pairs = [pair for value in node.inputs if (pair := dequantizer(value, _CASTS))]
    main = [pair for pair in pairs if _convolution_before(pair) is not None]
    if len(pairs) == len(node.inputs) and main:
        yield Problem(
            f"{node_label(node)} has Q/DQ on both sides",
            f"take {node_label(main[0])} off, so that the sum is fused into the convolution",
        )


def _convolution_before(dequantize: ir.Node) -> ir.Node | None:
    first = quantizer(dequantize)
    value = behind(None if first is None else input_of(first, 0), _CASTS)
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in _CONVOLUTIONS else None


@each_node
def half_quantized_products(node: ir.Node) -> Iterator[Problem]:
    """Warn of a product with Q/DQ on one input alone, which runs in float.

    Source: facts/tensorrt.md sec. 3.3 (all inputs of weighted operators, the weight included).
    """
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return
    is_quantized = [dequantizer(input_of(node, index)) is not None for index in (0, 1)]
    if any(is_quantized) and not all(is_quantized):
        which = "weight" if is_constant(input_of(node, is_quantized.index(False))) else "input"
        yield Problem(
            f"{node_label(node)} has one {which} in float beside a quantised one",
            "quantise both",
        )
