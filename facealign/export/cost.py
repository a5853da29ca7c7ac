"""How much a graph computes: multiply-accumulates by node and by operator."""

from __future__ import annotations

import math
from collections import Counter

import onnx
import onnx_ir as ir

__all__ = ["at_batch", "macs_by_node", "macs_by_operator", "node_macs", "sizes"]


def macs_by_operator(model: ir.Model, *, batch: int = 1) -> dict[str, int]:
    """Return multiply-accumulates of one run by operator, the largest first.

    Counted are Conv, ConvTranspose, Gemm and MatMul, as papers do; the rest is below one percent.

    Args:
        model: A graph with one dynamic axis, the batch.
        batch: Crops in the run.
    """
    operators = {node.outputs[0].name: node.op_type for node in model.graph}
    macs: Counter[str] = Counter()
    for name, count in macs_by_node(model, batch=batch).items():
        macs[operators[name]] += count
    return {name: count for name, count in macs.most_common() if count}


def macs_by_node(model: ir.Model, *, batch: int = 1) -> dict[str, int]:
    """Return multiply-accumulates of one run by the name of a node's first output.

    Args:
        model: A graph with one dynamic axis, the batch.
        batch: Crops in the run.
    """
    inferred = at_batch(model, batch)
    return {str(node.outputs[0].name): node_macs(node, batch) for node in inferred.graph}


def at_batch(model: ir.Model, batch: int) -> ir.Model:
    """Return a copy of a graph with every shape inferred for that many crops."""
    proto = ir.to_proto(model)
    for value in (*proto.graph.input, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = batch
    proto.graph.ClearField("value_info")
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True))


def node_macs(node: ir.Node, batch: int) -> int:
    """Return multiply-accumulates of a node of `at_batch`."""
    if node.op_type not in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return 0
    values = (node.inputs[0], node.inputs[1], node.outputs[0])
    left, right, out = (sizes(value, batch) for value in values)
    if node.op_type == "Conv":
        return math.prod(out) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    inner = left[0] if node.attributes.get_int("transA") else left[-1]
    return math.prod(out) * inner


def sizes(value: ir.Value | None, batch: int) -> tuple[int, ...]:
    """Return the sizes of a value; what inference leaves open is the batch, as nothing else is."""
    if value is None or value.shape is None:
        return ()
    return tuple(size if isinstance(size, int) else batch for size in value.shape)
