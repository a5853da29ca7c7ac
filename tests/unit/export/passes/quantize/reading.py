"""Reads where a quantised graph has its pairs."""

from __future__ import annotations

import onnx_ir as ir

__all__ = ["edges", "quantized_sources", "source_of", "zero_points"]


def source_of(value: ir.Value | None) -> str:
    """Return ``q(name)`` for what comes from `name` through a pair, else the name."""
    assert value is not None
    node = value.producer()
    if node is None or node.op_type != "DequantizeLinear":
        return str(value.name)
    inner = node.inputs[0]
    assert inner is not None
    producer = inner.producer()
    if producer is None:
        return f"dq({inner.name})"
    assert producer.inputs[0] is not None
    return f"q({producer.inputs[0].name})"


def edges(model: ir.Model, output: str) -> list[str]:
    """Return what the node that gives `output` reads."""
    node = next(node for node in model.graph if node.outputs[0].name == output)
    return [source_of(value) for value in node.inputs]


def quantized_sources(model: ir.Model) -> list[str]:
    """Return the names of all tensors that a QuantizeLinear reads, sorted."""
    nodes = [node for node in model.graph if node.op_type == "QuantizeLinear"]
    return sorted(str(node.inputs[0].name) for node in nodes if node.inputs[0] is not None)


def zero_points(model: ir.Model) -> list[ir.Value]:
    """Return the zero points of all nodes that quantise or dequantise."""
    nodes = [n for n in model.graph if n.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    return [node.inputs[2] for node in nodes if node.inputs[2] is not None]
