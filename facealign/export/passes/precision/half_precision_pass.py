"""Write FP16 into a graph: the types of its initializers, and Casts where precision changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import InPlacePass, PassResult

from facealign.export.graph import drop_unused_initializers
from facealign.export.passes.precision.assignment import (
    PrecisionRules,
    assign_precision,
    is_float,
)
from facealign.export.passes.precision.slot_types import follows_node

__all__ = ["HalfPrecisionPass"]

_FULL, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_ARRAY_TYPES = {_FULL: np.float32, _HALF: np.float16}
_SUFFIXES = {_FULL: "fp32", _HALF: "fp16"}


class HalfPrecisionPass(InPlacePass):
    """Turn an FP32 graph into a typed FP16 one; one that holds FP16 already is left alone.

    Args:
        rules: What is FP32 beyond the islands.
    """

    def __init__(self, rules: PrecisionRules | None = None) -> None:
        super().__init__()
        self._rules = rules or PrecisionRules()

    def call(self, model: ir.Model) -> PassResult:
        """Set types and insert Casts."""
        graph = model.graph
        if any(value.dtype == _HALF for node in graph for value in node.outputs):
            return PassResult(model, modified=False)
        precision = assign_precision(graph, self._rules)
        for node in precision.half:
            _set_output_types(node)
        writer = _Writer(graph, _HALF if self._rules.grid_sample == "fp16" else _FULL)
        for node in list(graph):
            writer.write_inputs(node, _FULL if node in precision.full else _HALF)
        drop_unused_initializers(graph)
        return PassResult(model, modified=bool(precision.half))


def _set_output_types(node: ir.Node) -> None:
    for value in node.outputs:
        if value.dtype == _FULL:
            value.type = ir.TensorType(_HALF)  # a clone shares its types with the original
    if node.op_type == "Cast" and node.outputs[0].dtype == _HALF:
        node.attributes["to"] = ir.AttrInt64("to", int(_HALF))


class _Writer:
    """Gives every input its type: by another initializer, or by a Cast that all users share."""

    def __init__(self, graph: ir.Graph, grid_type: ir.DataType) -> None:
        self._graph = graph
        self._grid_type = grid_type
        self._made: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def write_inputs(self, node: ir.Node, precision: ir.DataType) -> None:
        """Replace those inputs of `node` that are of another precision."""
        for position, value in enumerate(node.inputs):
            if value is None or not is_float(value):
                continue
            wanted = precision
            if node.op_type == "GridSample" and position == 1:
                wanted = self._grid_type
            elif not follows_node(node, position):
                continue
            if value.dtype != wanted:
                node.replace_input_with(position, self._as_type(value, wanted))

    def _as_type(self, value: ir.Value, wanted: ir.DataType) -> ir.Value:
        if (value, wanted) not in self._made:
            if value.const_value is None:
                made = self._cast(value, wanted)
            else:
                made = self._constant(value, value.const_value.numpy(), wanted)
            self._made[value, wanted] = made
        return self._made[value, wanted]

    def _constant(self, value: ir.Value, array: NDArray[Any], wanted: ir.DataType) -> ir.Value:
        name = f"{value.name}.{_SUFFIXES[wanted]}"
        const = ir.tensor(array.astype(_ARRAY_TYPES[wanted]), name=name)
        type_ = ir.TensorType(wanted)
        made = ir.Value(name=name, const_value=const, type=type_, shape=value.shape)
        self._graph.initializers.add(made)
        return made

    def _cast(self, value: ir.Value, wanted: ir.DataType) -> ir.Value:
        name = f"{value.name}.{_SUFFIXES[wanted]}"
        made = ir.Value(name=name, type=ir.TensorType(wanted), shape=value.shape)
        cast = ir.node("Cast", [value], {"to": int(wanted)}, outputs=[made], name=name)
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], cast)
        else:
            self._graph.insert_after(producer, cast)
        return made
