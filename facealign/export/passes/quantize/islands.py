"""Where a graph must stay float: at the image, and where it computes with coordinates."""

from __future__ import annotations

import onnx_ir as ir

from facealign.export.passes.quantize.products import learned_product

__all__ = ["LEAST_TERMS", "coordinate_nodes", "image_products"]

# Below it a product takes coordinates (2 or 3 terms) or one channel: nothing to gain, all to lose.
LEAST_TERMS = 16


def coordinate_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes between the last learned products and the outputs or a GridSample's grid.

    The walk goes backwards from every output of the graph and from every grid. It ends at learned
    products of at least `LEAST_TERMS` terms, which belong to the island: what they give is already
    a coordinate, or the heat map that it is read from.
    """
    waiting = list(graph.outputs)
    waiting += [
        node.inputs[1]
        for node in graph
        if node.op_type == "GridSample" and node.inputs[1] is not None
    ]
    island: set[ir.Node] = set()
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in island:
            continue
        island.add(node)
        product = learned_product(node)
        if product is None or product.terms < LEAST_TERMS:
            waiting += [value for value in node.inputs if value is not None]
    return island


def image_products(graph: ir.Graph) -> set[ir.Node]:
    """Return the learned products that see the image itself, with no other product before them.

    TensorRT has no INT8 kernel for three channels in some fused forms, and the first convolution
    costs little.
    """
    waiting = list(graph.inputs)
    seen: set[ir.Node] = set()
    products: set[ir.Node] = set()
    while waiting:
        for node in waiting.pop().consumers():
            if node in seen:
                continue
            seen.add(node)
            if learned_product(node) is not None:
                products.add(node)
            else:
                waiting += node.outputs
    return products
