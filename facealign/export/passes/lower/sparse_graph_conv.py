"""The graph convolution along a sparse graph of landmarks, by neighbours instead of by matrix."""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from facealign.export.passes.lower.adjacency import (
    ComputedAdjacency,
    ConstantAdjacency,
    adjacency_of,
)
from facealign.export.passes.lower.custom_operator import add_function, custom_node
from facealign.export.passes.lower.writer import NodeWriter, constant

__all__ = ["SPARSE_GRAPH_CONV", "SparseGraphConvPass"]

SPARSE_GRAPH_CONV = "SparseGraphConv"
_BODY = f"""
{SPARSE_GRAPH_CONV} <plugin_namespace, plugin_version> (nodes, indices, weights) => (mixed) {{
  neighbours = Gather <axis = 2> (nodes, indices)
  weighted = Mul (neighbours, weights)
  last = Constant <value_ints = [-1]> ()
  mixed = ReduceSum <keepdims = 0> (weighted, last)
}}
"""
_NAME = "graph_convolution"


class SparseGraphConvPass(InPlacePass):
    """Replace every product with a sparse adjacency by a sum over neighbours.

    ``facealign::SparseGraphConv(nodes, indices, weights)`` is
    ``mixed[b, f, m] = sum over k of nodes[b, f, indices[m, k]] * weights[m, k]``, with nodes
    ``(B, F, N)``, indices ``(M, K)`` int64 and weights ``(M, K)``, or ``(B, 1, M, K)`` where they
    are computed from the image; mixed is ``(B, F, M)``. `adjacency_of` says what it replaces. In
    FP16 every term is rounded, where a product would add them up in FP32 on most engines.

    Args:
        form: ``function`` is the operator with its function body, ``gather`` is Gather, Mul and
            ReduceSum.
    """

    def __init__(self, form: Literal["function", "gather"]) -> None:
        super().__init__()
        self._form = form

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every graph convolution; any other product stays."""
        found = [(node, adjacency_of(node)) for node in model.graph]
        weights = _Weights(model.graph)
        modified = False
        for node, adjacency in found:
            if adjacency is not None:
                self._replace(model.graph, node, weights.operands(node, adjacency))
                modified = True
        if modified and self._form != "gather":
            add_function(model, _BODY)
        return PassResult(model, modified=modified)

    def _replace(self, graph: ir.Graph, node: ir.Node, operands: tuple[ir.Value, ...]) -> None:
        if self._form == "gather":
            _write_gather(graph, node, operands)
            return
        old = node.outputs[0]
        new = ir.Value(name=old.name, type=old.type, shape=old.shape)
        custom = custom_node(SPARSE_GRAPH_CONV, operands, output=new, name=node.name)
        ir.convenience.replace_nodes_and_values(graph, node, [node], [custom], [old], [new])


def _write_gather(graph: ir.Graph, node: ir.Node, operands: tuple[ir.Value, ...]) -> None:
    nodes, indices, weights = operands
    writer = NodeWriter(graph, node)
    neighbours = writer.op("Gather", (nodes, indices), "neighbours", {"axis": 2})  # (B, F, M, K)
    weighted = writer.op("Mul", (neighbours, weights), "weighted")
    last = writer.constant(np.array([-1], dtype=np.int64), f"{_NAME}.last_axis")
    writer.finish(writer.op("ReduceSum", (weighted, last), "mixed", {"keepdims": 0}))


class _Weights:
    """Gives the operands of a graph convolution; what several share is computed once."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._computed: dict[ir.Value, ir.Value] = {}

    def operands(
        self, node: ir.Node, adjacency: ConstantAdjacency | ComputedAdjacency
    ) -> tuple[ir.Value, ...]:
        """Return nodes, indices and weights."""
        nodes, mixing = adjacency.nodes, adjacency.mixing
        indices = constant(self._graph, adjacency.indices, f"{_NAME}.indices")
        if isinstance(adjacency, ConstantAdjacency):
            weights = constant(self._graph, adjacency.weights, f"{mixing.name}.weights")
            return nodes, indices, weights
        if mixing not in self._computed:
            self._computed[mixing] = self._weights(node, adjacency)
        return nodes, indices, self._computed[mixing]

    def _weights(self, node: ir.Node, adjacency: ComputedAdjacency) -> ir.Value:
        mixing = adjacency.mixing
        places = constant(self._graph, adjacency.places.reshape(-1), f"{mixing.name}.places")
        sizes = np.array([-1, 1, *adjacency.places.shape], dtype=np.int64)
        shape = constant(self._graph, sizes, f"{mixing.name}.shape")
        edges = ir.Value(name=f"{mixing.name}.edges")
        weights = ir.Value(name=f"{mixing.name}.weights")
        gather = ir.node(
            "Gather", [adjacency.values, places], {"axis": 1}, outputs=[edges], name=edges.name
        )
        reshape = ir.node("Reshape", [edges, shape], outputs=[weights], name=weights.name)
        self._graph.insert_before(node, [gather, reshape])
        if adjacency.values.dtype == mixing.dtype:
            return weights
        cast = ir.Value(name=f"{mixing.name}.weights.cast")
        to = {"to": int(mixing.dtype or ir.DataType.FLOAT)}
        self._graph.insert_before(
            node, ir.node("Cast", [weights], to, outputs=[cast], name=cast.name)
        )
        return cast
