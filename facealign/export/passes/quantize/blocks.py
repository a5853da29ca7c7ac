"""Consecutive products as named blocks, for measuring which of them INT8 hurts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise

import onnx_ir as ir

from facealign.export.cost import macs_by_node
from facealign.export.graph import node_name
from facealign.export.passes.quantize.plan import plan_products

__all__ = ["MOST_BLOCKS", "Block", "blocks_of", "nodes_of_names"]

MOST_BLOCKS = 24  # one evaluation each, in either direction


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive products that are quantised, or not, together.

    Attributes:
        name: ``block-07``; the number is its place in the order of the graph.
        nodes: Names of its products, in that order.
        macs: Multiply-accumulates for one crop.
        share: `macs` as a fraction of the whole graph's, 0 to 1.
    """

    name: str
    nodes: tuple[str, ...]
    macs: int
    share: float


def blocks_of(model: ir.Model, *, leave_float: Collection[str] = ()) -> tuple[Block, ...]:
    """Return the products that `quantize` takes by default, as at most `MOST_BLOCKS` blocks.

    Neighbours with the fewest multiply-accumulates together are joined first, so that blocks cost
    about the same; the first pair wins of several. A network with fewer products has one block for
    each. The same graph always gives the same blocks.

    Args:
        model: A float graph with inferred shapes.
        leave_float: Names of nodes that are in no block.

    Raises:
        UsageError: If `leave_float` names what is not in the graph.
    """
    cost = macs_by_node(model)
    total = sum(cost.values()) or 1
    groups = [
        ([node_name(product.node)], cost[str(product.node.outputs[0].name)])
        for product in plan_products(model, leave_float=leave_float).products
    ]
    while len(groups) > MOST_BLOCKS:
        together = [a[1] + b[1] for a, b in pairwise(groups)]
        first = together.index(min(together))
        (names, macs), (more, added) = groups[first : first + 2]
        groups[first : first + 2] = [(names + more, macs + added)]
    return tuple(
        Block(f"block-{number:02}", tuple(names), macs, macs / total)
        for number, (names, macs) in enumerate(groups)
    )


def nodes_of_names(model: ir.Model, names: Collection[str]) -> frozenset[str]:
    """Return names of nodes for names of nodes and blocks; what is neither stays as it is."""
    if {node_name(node) for node in model.graph}.issuperset(names):
        return frozenset(names)
    blocks = {block.name: block.nodes for block in blocks_of(model)}
    return frozenset(node for name in names for node in blocks.get(name, (name,)))
