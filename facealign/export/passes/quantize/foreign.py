"""Q/DQ pairs of another quantiser: which nodes may have them, and off all others they go."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from facealign.export.graph import bytes_from_graph, graph_from_bytes, node_name
from facealign.export.passes.quantize.plan import plan_products
from facealign.export.tensorrt.values import dequantizer, input_of, quantizer

__all__ = ["matrices_off_axis", "planned_nodes", "quantized_products", "with_pairs_at"]

_PAIRS = ("QuantizeLinear", "DequantizeLinear")
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_FACTORS = (0, 1)  # input positions


def planned_nodes(model: ir.Model, *, leave_float: Collection[str] = ()) -> frozenset[str]:
    """Return the names of the products and residual Adds that read INT8 by our own plan.

    Args:
        model: A float graph with inferred shapes.
        leave_float: Names of nodes that do not.

    Raises:
        UsageError: If `leave_float` names what is not in the graph.
    """
    plan = plan_products(model, leave_float=leave_float)
    nodes = [*(product.node for product in plan.products), *(skip.node for skip in plan.skips)]
    return frozenset(map(node_name, nodes))


def matrices_off_axis(model: ir.Model, axis: int) -> frozenset[str]:
    """Return the names of MatMuls whose weight has its output channels along another axis.

    Args:
        model: A float graph with inferred shapes.
        axis: Along which a quantiser scales the weight of every MatMul.
    """
    return frozenset(
        node_name(product.node)
        for product in plan_products(model).products
        if product.node.op_type == "MatMul" and product.axis != axis
    )


def quantized_products(model: ir.Model) -> frozenset[str]:
    """Return the names of the products of a graph that read both factors through a pair."""
    return frozenset(
        node_name(node)
        for node in model.graph
        if node.op_type in _PRODUCTS
        and all(dequantizer(input_of(node, index), ()) is not None for index in _FACTORS)
    )


def with_pairs_at(model: ir.Model, names: Collection[str]) -> ir.Model:
    """Return a copy of a quantised graph in which only the named nodes read through pairs.

    All other nodes read the float tensor from before the pair. Quantisers that put a pair on a
    tensor, for all its readers, otherwise also round what a GridSample samples. A DequantizeLinear
    without a QuantizeLinear stays, as nothing is known of the float numbers; the rules refuse it.

    Args:
        model: A graph of any quantiser.
        names: Of nodes.
    """
    copy = graph_from_bytes(bytes_from_graph(model))
    for node in copy.graph:
        if node.op_type in _PAIRS or node_name(node) in names:
            continue
        for index, value in enumerate(node.inputs):
            source = _before_pair(value)
            if source is not None:
                node.replace_input_with(index, source)
    return RemoveUnusedNodesPass()(copy).model


def _before_pair(value: ir.Value | None) -> ir.Value | None:
    """Return the float tensor that a pair, and nothing else, makes `value` of."""
    dequantize = dequantizer(value, ())
    quantize = None if dequantize is None else quantizer(dequantize)
    return None if quantize is None else input_of(quantize, 0)
