"""Which nodes of a graph stay in FP32."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from facealign.export.islands import coordinate_nodes, normalisation_nodes
from facealign.export.layers import MOVEMENT
from facealign.export.passes.precision.half_range import RangeFinding, constant_findings
from facealign.export.passes.precision.slot_types import can_be_half

__all__ = ["Assignment", "GridSampleTypes", "PrecisionRules", "assign_precision", "is_float"]

GridSampleTypes = Literal["mixed", "fp32", "fp16"]
_EXACT_IN_HALF = (ir.DataType.UINT8, ir.DataType.INT8, ir.DataType.BOOL)


@dataclass(frozen=True, slots=True)
class PrecisionRules:
    """What is FP32 beyond the islands.

    Attributes:
        keep: Names of values that are FP32: the node that gives one, and those that take it.
        only: Names of values; nodes that give none of them are FP32. None for no such limit.
        grid_sample: As in `half_precision`.
    """

    keep: Collection[str] = ()
    only: Collection[str] | None = None
    grid_sample: GridSampleTypes = "mixed"


@dataclass(frozen=True, slots=True)
class Assignment:
    """The precision of every node.

    Attributes:
        full: Nodes that compute in FP32, and those that do not compute with such numbers.
        half: The others, in the order of the graph.
        unfit: The constants that made nodes FP32.
    """

    full: frozenset[ir.Node]
    half: tuple[ir.Node, ...]
    unfit: tuple[RangeFinding, ...]


def assign_precision(graph: ir.Graph, rules: PrecisionRules | None = None) -> Assignment:
    """Return which nodes compute in FP32 when the rest of the graph is FP16.

    Args:
        graph: An FP32 graph whose constants are initializers.
        rules: Defaults to the islands alone.
    """
    rules = rules or PrecisionRules()
    asked = _asked_for(graph, rules)
    full = asked | normalisation_nodes(graph) | coordinate_nodes(graph)
    full |= {node for node in graph if not _has_float(node) or not can_be_half(node)}
    unfit = constant_findings(graph, set(graph) - full)
    unfit_nodes = _taking(graph, {finding.value for finding in unfit})
    full |= unfit_nodes
    full -= _moved_in_half(graph, full, asked | unfit_nodes)
    return Assignment(frozenset(full), tuple(n for n in graph if n not in full), unfit)


def is_float(value: ir.Value | None) -> bool:
    """Return whether a value is FP32 or FP16."""
    return value is not None and value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16)


def _has_float(node: ir.Node) -> bool:
    """Return whether a node takes or gives a number that may be FP16."""
    return any(is_float(value) for value in (*node.inputs, *node.outputs))


def _asked_for(graph: ir.Graph, rules: PrecisionRules) -> set[ir.Node]:
    """Return the nodes that the rules make FP32."""
    kept = set(rules.keep)
    found = {node for node in graph if kept.intersection(_names((*node.inputs, *node.outputs)))}
    if rules.only is not None:
        found |= {node for node in graph if not set(rules.only).intersection(_names(node.outputs))}
    if rules.grid_sample == "fp32":
        found |= {node for node in graph if node.op_type == "GridSample"}
    return found


def _taking(graph: ir.Graph, constants: Iterable[str]) -> set[ir.Node]:
    """Return the nodes that take constants, be they moved before."""
    names: set[str | None] = set(constants)
    found = set()
    for node in graph:
        if names.intersection(_names(node.inputs)):
            found.add(node)
            names |= _names(node.outputs) if node.op_type in MOVEMENT else set()
    return found


def _names(values: Iterable[ir.Value | None]) -> set[str | None]:
    return {value.name for value in values if value is not None}


def _moved_in_half(graph: ir.Graph, full: set[ir.Node], fixed: set[ir.Node]) -> set[ir.Node]:
    """Return the FP32 nodes that may as well be FP16, as the Cast can stand in front of them.

    They only move what FP16 nodes take, or convert whole numbers that FP16 holds exactly. Those in
    `fixed` are left alone.
    """
    moved: set[ir.Node] = set()
    for node in reversed(graph):
        if node in full and node not in fixed and _is_taken_in_half(node, full - moved):
            casts = _casts_saved(node, full - moved)
            if casts is not None and casts >= 0:
                moved.add(node)
    return moved


def _is_taken_in_half(node: ir.Node, full: set[ir.Node]) -> bool:
    """Return whether someone takes what a node gives, and everyone does so in FP16."""
    uses = [use for value in node.outputs for use in value.uses()]
    is_output = any(value.is_graph_output() for value in node.outputs)
    return (
        bool(uses)
        and not is_output
        and all(
            user not in full and not (user.op_type == "GridSample" and position == 1)
            for user, position in uses
        )
    )


def _casts_saved(node: ir.Node, full: set[ir.Node]) -> int | None:
    """Return how many Casts fewer there are with a node in FP16; None if it computes something."""
    if node.op_type == "Cast" and node.inputs[0] is not None:
        return 1 if node.inputs[0].dtype in _EXACT_IN_HALF else None
    if node.op_type not in MOVEMENT or not is_float(node.outputs[0]):
        return None
    producers = [
        v.producer() for v in node.inputs if v is not None and v.dtype == ir.DataType.FLOAT
    ]
    in_full = sum(producer in full for producer in producers)
    in_half = sum(producer is not None and producer not in full for producer in producers)
    return in_half + 1 - in_full
