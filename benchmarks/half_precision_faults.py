"""FP16 where it must not be, planted in a graph: its grids, or all that it computes of coordinates.

Every planted value is cast to FP16 and back, so that no engine can leave the rounding out.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from facealign.export.islands import coordinate_nodes, grids, values_of
from facealign.export.passes.precision.assignment import is_float

__all__ = ["planted", "values_by_fault"]

_FULL, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def values_by_fault(graph: ir.Graph) -> dict[str, list[str]]:
    """Return by fault the names of the values that it rounds; a graph without grids lacks one.

    Args:
        graph: FP32.
    """
    found = {
        "grids in FP16": [str(value.name) for value in grids(graph)],
        "coordinates in FP16": [
            str(value.name) for value in values_of(_in_order(graph)) if is_float(value)
        ],
    }
    return {fault: names for fault, names in found.items() if names}


def planted(model: ir.Model, names: Iterable[str]) -> ir.Model:
    """Return a copy of a graph in which some values go through FP16.

    Args:
        model: With inferred types and shapes.
        names: Of FP32 values that nodes give; outputs of the graph keep their names.
    """
    copy = model.clone()
    wanted = set(names)
    for value in [v for node in copy.graph for v in node.outputs if v.name in wanted]:
        _round_trip(copy.graph, value)
    return copy


def _in_order(graph: ir.Graph) -> list[ir.Node]:
    island = coordinate_nodes(graph)
    return [node for node in graph if node in island]


def _round_trip(graph: ir.Graph, value: ir.Value) -> None:
    producer, name = value.producer(), value.name
    if producer is None:
        raise ValueError(f"no node gives `{name}`")
    uses = list(value.uses())
    down = _cast(value, _HALF, f"{name}.planted_fp16")
    up = _cast(down.outputs[0], _FULL, f"{name}.planted_fp32")
    graph.insert_after(producer, [down, up])
    for user, position in uses:
        user.replace_input_with(position, up.outputs[0])
    for position, output in enumerate(graph.outputs):
        if output is value:
            graph.outputs[position] = up.outputs[0]
            value.name, up.outputs[0].name = f"{name}.exact", name


def _cast(value: ir.Value, to: ir.DataType, name: str) -> ir.Node:
    made = ir.Value(name=name, type=ir.TensorType(to), shape=value.shape)
    return ir.node("Cast", [value], {"to": int(to)}, outputs=[made], name=name)
