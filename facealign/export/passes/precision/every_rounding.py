"""A graph that rounds where a typed FP16 graph says so, for engines that would leave it out."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

__all__ = ["EveryRoundingPass", "with_every_rounding"]

_FULL, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def with_every_rounding(model: ir.Model) -> ir.Model:
    """Return an FP32 graph that computes what a typed FP16 graph means; for judging only.

    ONNX Runtime 1.31 on the CPU has few FP16 kernels. It runs whole stretches of FP16 nodes in
    FP32 and takes out the Casts between them, so that nothing is rounded there and nothing
    overflows. Here every result of an FP16 node is cast to FP16 and back by Casts of the graph
    itself, which it keeps. Products accumulate in FP32, as on tensor cores.

    Args:
        model: A typed graph, which stays as it is.
    """
    return EveryRoundingPass()(model.clone()).model


class EveryRoundingPass(InPlacePass):
    """Make every FP16 value an FP32 one that went through FP16."""

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite all nodes and initializers that are FP16."""
        graph = model.graph
        constants = [v for v in graph.initializers.values() if v.dtype == _HALF]
        for value in constants:
            _widen(value)
        rounded = [v for node in graph for v in node.outputs if v.dtype == _HALF]
        for value in rounded:
            _round_trip(graph, value)
        return PassResult(model, modified=bool(constants or rounded))


def _widen(value: ir.Value) -> None:
    if value.const_value is not None:
        array = value.const_value.numpy().astype(np.float32)
        value.const_value = ir.tensor(array, name=value.name)
    value.type = ir.TensorType(_FULL)


def _round_trip(graph: ir.Graph, value: ir.Value) -> None:
    producer = value.producer()
    if producer is None:
        return
    uses = list(value.uses())
    value.type = ir.TensorType(_FULL)  # a clone shares its types with the original
    if producer.op_type == "Cast":
        producer.attributes["to"] = ir.AttrInt64("to", int(_FULL))
    down = _cast(value, _HALF)
    up = _cast(down.outputs[0], _FULL)
    graph.insert_after(producer, [down, up])
    for user, position in uses:
        user.replace_input_with(position, up.outputs[0])


def _cast(value: ir.Value, wanted: ir.DataType) -> ir.Node:
    made = ir.Value(name=f"{value.name}.r", type=ir.TensorType(wanted), shape=value.shape)
    return ir.node("Cast", [value], {"to": int(wanted)}, outputs=[made], name=made.name)
