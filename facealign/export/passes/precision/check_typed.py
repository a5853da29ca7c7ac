"""Does a typed FP16 graph say what it should? Types by the checker, coordinates by walking."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from facealign.errors import GraphContractError
from facealign.export.graph import OPSET, check_onnx, node_label
from facealign.export.islands import grids
from facealign.export.passes.precision.assignment import GridSampleTypes
from facealign.export.precision_rules import (
    half_coordinates,
    half_grids,
    half_normalisation,
    is_cast,
)

__all__ = ["check_typed", "typed_problems"]

_FULL, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def check_typed(model: ir.Model, *, grid_sample: GridSampleTypes = "mixed") -> None:
    """Refuse a typed FP16 graph that the standard, or its coordinates, cannot bear.

    Args:
        model: A graph as `half_precision` gives it.
        grid_sample: What `half_precision` was asked for; ``fp16`` allows FP16 grids.

    Raises:
        GraphContractError: With every problem, in one line.
    """
    problems = typed_problems(model, grid_sample=grid_sample)
    if problems:
        raise GraphContractError("the FP16 graph is wrongly typed: " + "; ".join(problems))


def typed_problems(model: ir.Model, *, grid_sample: GridSampleTypes = "mixed") -> list[str]:
    """Return what is wrong with a typed FP16 graph, one line each; empty if nothing is.

    Args:
        model: The graph.
        grid_sample: As in `check_typed`.
    """
    problems = list(_standard_problems(model))
    problems += _output_problems(model.graph)
    problems += half_coordinates(model.graph)
    problems += half_grids(model.graph, allowed=_allowed_grids(model.graph, grid_sample))
    problems += half_normalisation(model.graph)
    problems += _cast_problems(model.graph)
    return problems


def _standard_problems(model: ir.Model) -> Iterator[str]:
    version = model.opset_imports.get("", 0)
    if version != OPSET:
        yield f"opset must be {OPSET}, got {version}; TensorRT misreads GridSample of opset 20"
    try:
        check_onnx(model)
    except GraphContractError as error:
        yield str(error)


def _output_problems(graph: ir.Graph) -> Iterator[str]:
    for value in graph.outputs:
        if value.dtype != _FULL:
            yield f"output `{value.name}` must be FLOAT, got {value.dtype}; cast its features up"


def _allowed_grids(graph: ir.Graph, grid_sample: GridSampleTypes) -> set[ir.Value]:
    """Return the grids that may be FP16: those cast down at the last moment, if asked for."""
    if grid_sample != "fp16":
        return set()
    return {value for value in grids(graph) if is_cast(value.producer(), _HALF)}


def _cast_problems(graph: ir.Graph) -> Iterator[str]:
    for node in graph:
        value = node.inputs[0] if node.op_type == "Cast" else None
        if value is None:
            continue
        if is_cast(value.producer(), _HALF) or value.dtype == node.outputs[0].dtype:
            yield f"{node_label(node)} casts what was cast; take one of the two out"
        if value.const_value is not None:
            yield f"{node_label(node)} casts a constant; store it as {node.outputs[0].dtype}"
