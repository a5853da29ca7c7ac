"""LayerNormalization by means and products, for TensorRT before 8.6."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from facealign.errors import GraphContractError
from facealign.export.graph import STANDARD_DOMAINS, node_label
from facealign.export.passes.lower.writer import NodeWriter

__all__ = ["DecomposeLayerNormalizationPass"]

_AXES_ARE_INPUTS = 18  # from that opset on, of ReduceMean
_EPSILON = 1e-5  # the standard's
_FULL = ir.DataType.FLOAT


class DecomposeLayerNormalizationPass(InPlacePass):
    """Replace every LayerNormalization by ReduceMean, products and a root, in FP32.

    In FP16 the squares would overflow, so what is FP16 is cast to FP32 before and back behind all
    of it. A weakly typed builder that may use FP16 must be told to keep these nodes in FP32.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every LayerNormalization.

        Raises:
            GraphContractError: If its mean or deviation is used, or the rank of its input unknown.
        """
        found = [
            node
            for node in model.graph
            if node.op_type == "LayerNormalization" and node.domain in STANDARD_DOMAINS
        ]
        for node in found:
            _replace(model, node)
        return PassResult(model, modified=bool(found))


def _replace(model: ir.Model, node: ir.Node) -> None:
    value = node.inputs[0]
    if value is None or value.shape is None or value.dtype is None:
        raise GraphContractError(
            f"{node_label(node)} cannot be decomposed, as the shape of its input is not known; "
            "infer shapes before"
        )
    if any(output.uses() or output.is_graph_output() for output in node.outputs[1:]):
        raise GraphContractError(
            f"{node_label(node)} cannot be decomposed, as its mean or deviation is used; "
            "normalise in a layer of its own"
        )
    writer = NodeWriter(model.graph, node)
    first = node.attributes.get_int("axis", -1) % len(value.shape)
    axes = tuple(range(first - len(value.shape), 0))
    normed = _normed(writer, value, node, axes, model.opset_imports[""])
    for op_type, operand in zip(("Mul", "Add"), node.inputs[1:], strict=False):
        if operand is not None:
            full = writer.in_full(operand, f"{op_type.lower()}.operand")
            normed = writer.op(op_type, (normed, full), op_type.lower())
    if value.dtype != _FULL:
        normed = writer.op("Cast", (normed,), "rounded", {"to": int(value.dtype)})
    writer.finish(normed)


def _normed(
    writer: NodeWriter, value: ir.Value, node: ir.Node, axes: tuple[int, ...], opset: int
) -> ir.Value:
    """Return the input without mean and with deviation 1, in FP32."""
    value = writer.in_full(value, "exact")
    epsilon = np.float32(node.attributes.get_float("epsilon", _EPSILON))
    mean = _mean(writer, value, axes, opset, "mean")
    centred = writer.op("Sub", (value, mean), "centred")
    square = writer.op("Mul", (centred, centred), "square")
    variance = _mean(writer, square, axes, opset, "variance")
    constant = writer.constant(np.array(epsilon), "layer_normalization.epsilon")
    raised = writer.op("Add", (variance, constant), "raised")
    return writer.op("Div", (centred, writer.op("Sqrt", (raised,), "deviation")), "normed")


def _mean(
    writer: NodeWriter, value: ir.Value, axes: tuple[int, ...], opset: int, name: str
) -> ir.Value:
    if opset < _AXES_ARE_INPUTS:
        return writer.op("ReduceMean", (value,), name, {"axes": axes})
    operand = writer.constant(np.array(axes, dtype=np.int64), "layer_normalization.axes")
    return writer.op("ReduceMean", (value, operand), name)
