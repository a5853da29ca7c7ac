"""What the name of a graph's precision promises: where FP16 and INT8 are, and where never."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

import onnx_ir as ir

from facealign.export.graph import node_label
from facealign.export.islands import coordinate_nodes, grids, normalisation_nodes, values_of
from facealign.export.layers import MOVEMENT, is_layer

__all__ = [
    "Precision",
    "half_coordinates",
    "half_grids",
    "half_normalisation",
    "is_cast",
    "precision_problems",
]

Precision = Literal["fp32", "fp16", "int8", "int8-cpu"]
"""``int8`` is for TensorRT, and what is not INT8 may be FP16; ``int8-cpu`` is for ONNX Runtime."""

_Type = ir.DataType
_SHORT_TYPES = (_Type.FLOAT16, _Type.BFLOAT16)
# Conv and GridSample of opset 19 have no BFLOAT16.
_SHORT_TYPES_OF: dict[Precision, tuple[ir.DataType, ...]] = {
    "fp32": (),
    "fp16": (_Type.FLOAT16,),
    "int8": (_Type.FLOAT16,),
    "int8-cpu": (),
}
# Of activations. TensorRT reads UINT8 as INT8; ONNX Runtime has its fast kernels for UINT8.
_INTEGERS_OF: dict[Precision, ir.DataType] = {"int8": _Type.INT8, "int8-cpu": _Type.UINT8}
_PAIRS = ("QuantizeLinear", "DequantizeLinear")
_QUANTIZERS = (*_PAIRS, "DynamicQuantizeLinear")


def precision_problems(graph: ir.Graph, precision: Precision) -> list[str]:
    """Return where a graph is not what its precision says, one line each; empty if nowhere.

    Args:
        graph: Shapes and types inferred.
        precision: What the graph is named.
    """
    problems = [*half_grids(graph), *_short_type_problems(graph, precision)]
    if precision in _INTEGERS_OF:
        problems += _pair_problems(graph, precision)
    else:
        problems += _quantizer_problems(graph, precision)
    if _Type.FLOAT16 in _SHORT_TYPES_OF[precision]:
        problems += half_coordinates(graph)
        problems += half_normalisation(graph)
    return problems


def half_grids(graph: ir.Graph, *, allowed: Collection[ir.Value] = ()) -> Iterator[str]:
    """Find grids that are not FP32.

    Args:
        graph: Types inferred.
        allowed: Grids that may be of another type.
    """
    for node in graph:
        grid = node.inputs[1] if node.op_type == "GridSample" else None
        if grid is None or grid.dtype in (None, _Type.FLOAT) or grid in allowed:
            continue
        yield f"{node_label(node)} has a {grid.dtype} grid; coordinates stay in FP32"


def half_coordinates(graph: ir.Graph) -> Iterator[str]:
    """Find FP16 between a layer and a coordinate, and between it and the next layer; but grids.

    Args:
        graph: Types inferred.
    """
    sampled_at = grids(graph)
    island = coordinate_nodes(graph)
    for node in (each for each in graph if each in island):
        for value in node.outputs:
            is_half = value.dtype in _SHORT_TYPES and value not in sampled_at
            if is_half and not _goes_to_layers(value):
                yield f"{node_label(node)} gives coordinates in {value.dtype}; they stay in FP32"


def half_normalisation(graph: ir.Graph) -> Iterator[str]:
    """Find FP16 between the picture and its first layers; but what a layer takes may be cast.

    Args:
        graph: Types inferred.
    """
    found = normalisation_nodes(graph)
    for node in (each for each in graph if each in found):
        is_half = any(value.dtype in _SHORT_TYPES for value in node.outputs)
        if is_half and node.op_type != "Cast" and node.op_type not in MOVEMENT:
            dtype = node.outputs[0].dtype
            yield f"{node_label(node)} normalises the picture in {dtype}; it does so in FLOAT"


def is_cast(node: ir.Node | None, to: ir.DataType) -> bool:
    """Return whether a node is a Cast to a type."""
    return node is not None and node.op_type == "Cast" and node.outputs[0].dtype == to


def _short_type_problems(graph: ir.Graph, precision: Precision) -> Iterator[str]:
    """Find where a graph turns to a type that its name does not say, and a type that is missing."""
    allowed, named = _SHORT_TYPES_OF[precision], f"in a graph that is named {precision}"
    for value in graph.initializers.values():
        if value.dtype in _SHORT_TYPES and value.dtype not in allowed:
            yield f"initializer `{value.name}` is {value.dtype} {named}"
    sampled_at = grids(graph)  # `half_grids` names those
    for node in graph:
        before = {value.dtype for value in node.inputs if value is not None}
        for value in node.outputs:
            is_turn = value.dtype in _SHORT_TYPES and value.dtype not in before
            if is_turn and value.dtype not in allowed and value not in sampled_at:
                yield f"{node_label(node)} goes to {value.dtype} {named}"
    if precision == "fp16" and not any(v.dtype == _Type.FLOAT16 for v in values_of(graph)):
        yield f"nothing is FLOAT16 {named}; name it fp32"


def _quantizer_problems(graph: ir.Graph, precision: Precision) -> Iterator[str]:
    """Find that a float graph quantises, in one line however many nodes do."""
    found = [node for node in graph if node.op_type in _QUANTIZERS]
    if found:
        yield (
            f"{node_label(found[0])} is one of {len(found)} nodes of Q/DQ in a graph that is named "
            f"{precision}; name it int8 or int8-cpu"
        )


def _pair_problems(graph: ir.Graph, precision: Precision) -> Iterator[str]:
    """Find pairs that are missing, of another type than the name says, and on coordinates."""
    wanted, named = _INTEGERS_OF[precision], f"in a graph that is named {precision}"
    pairs = [node for node in graph if node.op_type in _PAIRS]
    if {node.op_type for node in pairs} != set(_PAIRS):
        yield f"Q/DQ are missing {named}; quantise it, or name it fp32"
    island = coordinate_nodes(graph)
    for node in pairs:
        dtype = node.outputs[0].dtype
        if node.op_type == "QuantizeLinear" and dtype != wanted:
            yield f"{node_label(node)} gives {dtype} {named}; its activations are {wanted}"
        if node in island:
            yield f"{node_label(node)} quantises coordinates; they stay in FP32"


def _goes_to_layers(value: ir.Value) -> bool:
    """Return whether nothing but layers takes a value that was cast down, maybe moved."""
    producer = value.producer()
    if producer is None or value.is_graph_output():
        return False
    if not (is_cast(producer, _Type.FLOAT16) or producer.op_type in MOVEMENT):
        return False
    return all(
        is_layer(user) or (user.op_type in MOVEMENT and all(map(_goes_to_layers, user.outputs)))
        for user, _ in value.uses()
    )
