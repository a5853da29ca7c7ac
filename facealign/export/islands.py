"""Where a graph must stay exact: the picture until its first layers, and coordinates."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from facealign.export.layers import is_layer

__all__ = ["coordinate_nodes", "first_layers", "grids", "normalisation_nodes", "values_of"]

_GRID = 1  # input position of GridSample
_SHAPES = frozenset({"Shape", "Size"})  # what they give does not depend on precision


def normalisation_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes from the inputs of the graph forward, up to the first layers.

    Their sums are of grey levels: the squares of a z-score over 256 x 256 pixels are near 1e9.
    """
    return _forward(graph.inputs, stop=set())


def first_layers(graph: ir.Graph) -> set[ir.Node]:
    """Return the layers that take the picture itself, with no other layer before them.

    A layer behind positions that only the batch size of the picture shaped is none of them.
    """
    pictures = [*graph.inputs, *values_of(normalisation_nodes(graph))]
    return {node for value in pictures for node, _ in value.uses() if is_layer(node)}


def coordinate_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes that compute coordinates, or do arithmetic with them.

    Backward from every output of the graph and every grid of a GridSample: all nodes up to and
    including the first layers. Forward from what these give: all nodes up to the next layers, so
    that positions are subtracted before they are rounded.

    The first layers are in, as their results are coordinates, or heat maps of which the decoder
    compares neighbours. With the last convolution in FP16 0.36 % of the landmarks of tiny HRNet
    jumped, in FP32 0.16 %; of tiny PropNet 0.42 and 0.33 % (72 crops, landmarks that hang on
    rounding in the module itself left out).
    """
    backward = _backward([*graph.outputs, *grids(graph)])
    return backward | _forward(values_of(backward), stop=backward)


def values_of(nodes: Iterable[ir.Node]) -> list[ir.Value]:
    """Return what the nodes give."""
    return [value for node in nodes for value in node.outputs]


def grids(graph: ir.Graph) -> list[ir.Value]:
    """Return the grid of every GridSample."""
    values = (node.inputs[_GRID] for node in graph if node.op_type == "GridSample")
    return [value for value in values if value is not None]


def _backward(values: Iterable[ir.Value]) -> set[ir.Node]:
    found: set[ir.Node] = set()
    waiting = list(values)
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in found or node.op_type in _SHAPES:
            continue
        found.add(node)
        if not is_layer(node):
            waiting += [value for value in node.inputs if value is not None]
    return found


def _forward(values: Iterable[ir.Value], *, stop: set[ir.Node]) -> set[ir.Node]:
    found: set[ir.Node] = set()
    waiting = list(values)
    while waiting:
        for node, position in waiting.pop().uses():
            is_sampled_at = node.op_type == "GridSample" and position == _GRID
            if node in found or node in stop or is_sampled_at:
                continue
            if node.op_type in _SHAPES or is_layer(node):
                continue
            found.add(node)
            waiting += node.outputs
    return found
