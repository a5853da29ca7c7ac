"""Rules on opsets and operators that depend on the release of TensorRT."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir

from facealign.export.graph import OPSET, STANDARD_DOMAINS, node_label, node_name
from facealign.export.target_lint.finding import Finding, Severity, finding_from_problem
from facealign.export.tensorrt.by_release import (
    beyond_opset,
    computed_inputs,
    grid_sample_ranks,
    is_without_importer,
    release_constants,
    without_importer,
)
from facealign.export.tensorrt.operators import grid_sample_opset as misread_grid_samples
from facealign.export.tensorrt.values import Problem, opset_of
from facealign.targets import Certainty, Fact, Target
from facealign.targets.operators import is_known, operator_row, table_source

__all__ = [
    "conditional_resize",
    "constant_inputs",
    "grid_sample_opset",
    "grid_sample_rank",
    "operator_importer",
    "operator_restrictions",
    "operator_unknown",
    "opset",
]

_NEAREST = "NVIDIA/TensorRT#4646; onnx/onnx-tensorrt#1060"
_FIRST_VOLUMES = (11, 2)
_VOLUMES = Fact((4, 5), "release notes of TensorRT 11.2.1: 5-D GridSample", "documented")
_MAPS = Fact((4,), "onnx/onnx-tensorrt docs/operators.md, row of GridSample", "measured")
# What rules of their own look into; the words of the others are passed on.
_CHECKED = (
    "AveragePool",
    "CumSum",
    "DequantizeLinear",
    "GridSample",
    "LayerNormalization",
    "MaxPool",
    "OneHot",
    "Pad",
    "QuantizeLinear",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Resize",
    "Slice",
    "Squeeze",
    "TopK",
    "Unsqueeze",
)


def opset(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find an opset that the engine does not read; where its highest is a guess, a warning."""
    because, (least, greatest) = target.opsets, target.opsets.value
    severity: Severity = "warning" if because.certainty == "unconfirmed" else "error"
    for problem in beyond_opset(
        model, greatest, reader=target.engine_text, export_opset=target.export_opset.value
    ):
        # Other targets read what is written by default.
        how = f", as `facealign export --target {target.name}` writes it"
        fix = problem.fix if target.export_opset.value == OPSET else f"{problem.fix}{how}"
        yield finding_from_problem(Problem(problem.why, fix), severity, "opset", because)
    found = opset_of(model)
    if found < least:
        problem = Problem(
            f"opset {found} is before {target.engine_text}, which reads from {least} on",
            f"use opset {target.export_opset.value}",
        )
        yield finding_from_problem(problem, severity, "opset", because)


def grid_sample_opset(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find GridSample of opset 20, which is silently run as nearest."""
    # Read in the code up to 10.1 and reproduced on 11.1; of 11.2 to 11.4 nobody knows.
    certainty: Certainty = "unconfirmed" if target.oldest >= _FIRST_VOLUMES else "issue"
    fix = f"export with opset {target.export_opset.value}"
    for problem in misread_grid_samples(model):
        because = Fact(target.oldest, _NEAREST, certainty)
        readable = Problem(problem.why, fix, problem.nodes)
        yield finding_from_problem(readable, "error", "grid-sample-opset", because)


def grid_sample_rank(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find GridSample of another rank than maps, or from 11.2 on volumes."""
    because = _VOLUMES if target.oldest >= _FIRST_VOLUMES else _MAPS
    for node in model.graph.all_nodes():
        for problem in grid_sample_ranks(node, because.value):
            yield finding_from_problem(problem, "error", "grid-sample-rank", because)


def operator_importer(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find operators that the release cannot read."""
    for node in model.graph.all_nodes():
        for problem in without_importer(node, target.tables, target.engine_text):
            because = table_source(target.tables[0], node.op_type)
            yield finding_from_problem(problem, "error", "operator-importer", because)


def operator_unknown(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Warn of standard operators that the tables were not searched for, once each."""
    for op_type, nodes in _by_operator(model).items():
        if is_known(op_type) or is_without_importer(op_type, target.tables):
            continue
        problem = Problem(
            f"{node_label(nodes[0])} is of an operator of which facealign has no facts",
            f"look it up in docs/operators.md of onnx-tensorrt for {target.engine_text}",
            tuple(map(node_name, nodes)),
        )
        because = Fact(op_type, "no source was searched for it", "unconfirmed")
        yield finding_from_problem(problem, "warning", "operator-unknown", because)


def operator_restrictions(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Pass on in words what a table restricts and no rule looks into, once for each operator."""
    for op_type, nodes in _by_operator(model).items():
        for words, table in () if op_type in _CHECKED else _restrictions(op_type, target):
            problem = Problem(
                f"{node_label(nodes[0])} is restricted in {table}: {words}",
                "see that the graph keeps it",
                tuple(map(node_name, nodes)),
            )
            because = table_source(table, op_type)
            yield finding_from_problem(problem, "note", "operator-restrictions", because)


def _restrictions(op_type: str, target: Target) -> Iterator[tuple[str, str]]:
    """Yield what the tables restrict, once each, and the first that does."""
    said = set[str]()
    for table in target.tables:
        row = operator_row(table, op_type)
        if row is None or row.constant or row.restrictions in {"", *said}:
            continue
        said.add(row.restrictions)
        yield row.restrictions, table


def constant_inputs(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find axes, sizes and weights that are computed where the release wants a constant."""
    version = opset_of(model)
    for node in model.graph.all_nodes():
        if node.domain not in STANDARD_DOMAINS:
            continue
        is_other_reduction = node.op_type.startswith("Reduce") and not is_known(node.op_type)
        row_of = "ReduceMean" if is_other_reduction else node.op_type
        for problem in computed_inputs(node, release_constants(target.tables, row_of), version):
            because = table_source(target.tables[0], row_of)
            yield finding_from_problem(problem, "error", "constant-inputs", because)


def conditional_resize(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Warn of If beside Resize, which 11.1 and 11.2 are reported to get wrong."""
    if target.newest < (11,):
        return
    by_operator = _by_operator(model)
    if "If" in by_operator and "Resize" in by_operator:
        nodes = by_operator["If"]
        problem = Problem(
            f"{node_label(nodes[0])} is in a graph with Resize, reported wrong on 11.1 and 11.2",
            "export without control flow",
            tuple(map(node_name, nodes)),
        )
        because = Fact((11, 1), "NVIDIA/TensorRT#4846", "issue")
        yield finding_from_problem(problem, "warning", "conditional-resize", because)


def _by_operator(model: ir.Model) -> dict[str, list[ir.Node]]:
    """Return the nodes of standard operators by operator, in order of the graph."""
    found: dict[str, list[ir.Node]] = {}
    for node in model.graph.all_nodes():
        if node.domain in STANDARD_DOMAINS and onnx.defs.has(node.op_type):
            found.setdefault(node.op_type, []).append(node)
    return found
