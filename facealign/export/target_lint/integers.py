"""Rules on INT64 and UINT8, which old releases of TensorRT do not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import node_label, node_name
from facealign.export.target_lint.finding import Finding, finding_from_problem
from facealign.export.tensorrt.values import Problem, constant_array
from facealign.targets import Fact, Target
from facealign.targets.operators import operator_row

__all__ = ["FIRST_INT64", "int64_range", "uint8_input"]

FIRST_INT64 = (9,)
_CLAMPED = Fact(
    (8,), "onnx-tensorrt docs/operators.md 8.5-GA, note on INT64; Changelog 9.0 EA", "measured"
)


def int64_range(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Warn of INT64 where it becomes INT32: in the interface, and constants that do not fit."""
    if target.oldest >= FIRST_INT64:
        return
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype == ir.DataType.INT64:
            problem = Problem(
                f"`{value.name}` is INT64, which {target.engine_text} turns to INT32",
                "give it INT32, or cast inside the graph",
            )
            yield finding_from_problem(problem, "warning", "int64-range", _CLAMPED)
    for node in model.graph.all_nodes():
        # Where a Slice starts and ends is meant to lie beyond: clamped it still does.
        read = node.inputs[:1] if node.op_type == "Slice" else node.inputs
        if not all(_fits_int32(constant_array(value)) for value in read):
            problem = Problem(
                f"{node_label(node)} has INT64 numbers beyond INT32, and {target.engine_text} "
                "clamps them",
                "write smaller numbers",
                (node_name(node),),
            )
            yield finding_from_problem(problem, "warning", "int64-range", _CLAMPED)


def _fits_int32(array: NDArray[Any] | None) -> bool:
    if array is None or array.dtype != np.int64 or not array.size:
        return True
    bounds = np.iinfo(np.int32)
    return bool(array.min() >= bounds.min and array.max() <= bounds.max)


def uint8_input(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Warn of a UINT8 input where the release's row of Cast has no UINT8."""
    rows = [(table, operator_row(table, "Cast")) for table in target.tables]
    lacking = [table for table, row in rows if row is None or "UINT8" not in row.types]
    for value in model.graph.inputs if lacking else ():
        if value.dtype == ir.DataType.UINT8:
            problem = Problem(
                f"input `{value.name}` is UINT8, which the row of Cast in {lacking[0]} has not; "
                "other sources say that 8.5 reads it",
                "try it on the device, or cast before the graph",
                tuple(node_name(use.node) for use in value.uses()),
            )
            because = Fact((8, 5), "onnx-tensorrt ModelImporter.cpp; docs/operators.md", "measured")
            yield finding_from_problem(problem, "warning", "uint8-input", because)
