"""How quantisation of either flavour begins: a copy of the graph, and what of it is quantised."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.passes.quantize.blocks import nodes_of_names
from facealign.export.passes.quantize.plan import Plan, check_float, plan_products

__all__ = ["planned_copy"]


def planned_copy(
    model: ir.Model, *, leave_float: Collection[str] = (), grouped: bool = False
) -> tuple[ir.Model, Plan]:
    """Return a copy of a float graph, and the plan for that copy.

    Args:
        model: A graph with inferred shapes.
        leave_float: Names of nodes, or of blocks of `blocks_of`, to leave float.
        grouped: Also quantise depthwise and group convolutions.

    Raises:
        GraphContractError: If the graph is quantised already.
        UsageError: If `leave_float` names what is not in the graph.
    """
    check_float(model)
    names = nodes_of_names(model, leave_float)
    copy = graph_from_bytes(bytes_from_graph(model))  # a clone shares types with its original
    return copy, plan_products(copy, leave_float=names, grouped=grouped)
