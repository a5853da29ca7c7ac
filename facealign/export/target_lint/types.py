"""Rules on the types of tensors that depend on the release of TensorRT and on its GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import onnx_ir as ir

from facealign.export.graph import STANDARD_DOMAINS, node_label, node_name
from facealign.export.target_lint.finding import Finding, Severity, finding_from_problem
from facealign.export.target_lint.integers import FIRST_INT64
from facealign.export.tensorrt.by_release import quantized_type, quantized_types_beyond
from facealign.export.tensorrt.dtypes import grid_sample_in_half as in_half
from facealign.export.tensorrt.values import Problem, input_of
from facealign.targets import Fact, Target
from facealign.targets.operators import operator_row, table_source

__all__ = [
    "grid_sample_in_half",
    "half_attention",
    "operator_types",
    "precision_of_gpu",
    "quantized_types",
    "strong_typing",
]

_Type = ir.DataType
_NAMES = {
    _Type.FLOAT: "FP32",
    _Type.FLOAT16: "FP16",
    _Type.BFLOAT16: "BF16",
    _Type.INT32: "INT32",
    _Type.INT64: "INT64",
    _Type.BOOL: "BOOL",
}
# Their numbers come in at another place than the first; None: an operator of any type.
_DATA_INPUTS = {"OneHot": 2, "If": None, "Loop": None, "Scan": None, "Shape": None}
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_WEAK = "with FP16 or INT8 allowed, the builder chooses the type of every layer"
_IN_HALF = Fact((10, 14, 1), "pytorch/TensorRT#4074, open", "issue")
_ATTENTION = Fact((11, 3), "release notes of TensorRT 11.3.0", "documented")
_TRANSPARENT = ("Cast", "Identity", "Dropout", "Reshape", "Transpose")
_SCALED_OR_MASKED = ("Mul", "Div", "Add", "Where")


def operator_types(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find operators on a type that the release's row of them does not list."""
    for node in model.graph.all_nodes():
        name = _type_name(_data(node), target)
        if node.domain not in STANDARD_DOMAINS or name is None:
            continue
        for table in target.tables:
            row = operator_row(table, node.op_type)
            if row is not None and name not in row.types:
                problem = Problem(
                    f"{node_label(node)} is {name}, and {table} has it for "
                    f"{', '.join(row.types)} alone",
                    "cast to FLOAT before it" if "FP32" in row.types else "cast before it",
                    (node_name(node),),
                )
                because = table_source(table, node.op_type)
                yield finding_from_problem(problem, "error", "operator-types", because)
                break


def _data(node: ir.Node) -> ir.Value | None:
    """Return the value that the types of an operator's row are about."""
    if node.op_type == "ConstantOfShape":
        return node.outputs[0]
    index = _DATA_INPUTS.get(node.op_type, 0)
    return None if index is None else input_of(node, index)


def _type_name(value: ir.Value | None, target: Target) -> str | None:
    """Return what a table calls the type of a value; nothing for those of other rules."""
    name = None if value is None or value.dtype is None else _NAMES.get(value.dtype)
    if name == "INT64" and target.oldest < FIRST_INT64:
        return "INT32"
    return None if name == "BF16" and "bf16" not in target.precisions.value else name


def precision_of_gpu(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find BF16 and FP8 that the release, or a GPU of the target, does not have."""
    for precision, nodes in _short_types(model).items():
        named = Problem(
            f"{node_label(nodes[0])} is {precision.upper()}",
            _instead_of(precision, target),
            tuple(map(node_name, nodes)),
        )
        if precision not in target.precisions.value:
            severity: Severity = "error" if target.engine == "tensorrt" else "warning"
            text = f"{named.why}, which {target.engine_text} is not known to have"
            because: Fact[Any] = target.precisions
        elif lacking := target.gpus_without(precision):
            severity = "error" if len(lacking) == len(target.gpus.value) else "warning"
            text = f"{named.why}, which {' and '.join(lacking)} cannot compute"
            because = target.gpus
        else:
            continue
        problem = Problem(text, named.fix, named.nodes)
        yield finding_from_problem(problem, severity, "precision-of-gpu", because)


def _instead_of(precision: str, target: Target) -> str:
    if precision != "bf16":
        return "quantise to INT8"
    return "use FP16" if target.strong_typing.value else "use FP32"  # `strong_typing` refuses FP16


def _short_types(model: ir.Model) -> dict[str, list[ir.Node]]:
    """Return the nodes at which BF16 or FP8 comes up, by precision."""
    found: dict[str, list[ir.Node]] = {}
    for node in model.graph.all_nodes():
        read = [value for value in node.inputs if value is not None]
        made = [value for value in read if value.producer() is not None]
        given = [value for value in read if value.producer() is None]
        if _has_bf16((*given, *node.outputs)) and not _has_bf16(made):
            found.setdefault("bf16", []).append(node)
        if node.op_type == "QuantizeLinear" and quantized_type(node) == _Type.FLOAT8E4M3FN:
            found.setdefault("fp8", []).append(node)
    return found


def _has_bf16(values: Iterable[ir.Value]) -> bool:
    return any(value.dtype == _Type.BFLOAT16 for value in values)


def quantized_types(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find quantised types beyond INT8, and FP8 where the target has it."""
    # FP8 that the release lacks, or a GPU, is found by `precision_of_gpu`.
    reasons = {
        _Type.UINT8: "TensorRT reads it as INT8; for TensorRT quantise symmetrically to INT8",
        _Type.FLOAT8E5M2: "TensorRT has no such type; quantise to INT8",
        _Type.INT4: "facealign knows no rules for it; quantise to INT8",
        _Type.FLOAT4E2M1: "facealign knows no rules for it; quantise to INT8",
    }
    because = Fact(
        target.oldest,
        "onnx-tensorrt 10.1-GA, QuantDequantLinearHelper (UINT8 with a warning)",
        "measured",
    )
    for node in model.graph.all_nodes():
        for problem in quantized_types_beyond(node, (_Type.INT8, _Type.FLOAT8E4M3FN), reasons):
            yield finding_from_problem(problem, "error", "quantized-types", because)


def strong_typing(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find precision that the graph states by its types, where no engine is bound to them."""
    if target.strong_typing.value:
        return
    halves = [
        node
        for node in model.graph.all_nodes()
        if any(value.dtype == _Type.FLOAT16 for value in node.outputs)
    ]
    if halves:
        problem = Problem(
            f"{node_label(halves[0])} is one of {len(halves)} nodes in FP16, and "
            f"{target.engine_text} takes types for hints: what the graph keeps in FP32 may run in "
            "FP16",
            "give it the FP32 graph, or use JetPack 6.1 or later",
            tuple(map(node_name, halves)),
        )
        yield finding_from_problem(problem, "error", "strong-typing", target.strong_typing)
    pairs = [node for node in model.graph.all_nodes() if node.op_type in _QUANTIZERS]
    if pairs:
        problem = Problem(
            f"{node_label(pairs[0])} is one of {len(pairs)} nodes of Q/DQ, which "
            f"{target.engine_text} builds weakly typed: {_WEAK}",
            "measure it on the device, and allow INT8 alone",
            tuple(map(node_name, pairs)),
        )
        yield finding_from_problem(problem, "warning", "strong-typing", target.strong_typing)


def grid_sample_in_half(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find FP32 GridSample in an FP16 network, reported wrong since 10.14.1."""
    if target.newest < _IN_HALF.value:
        return
    for problem in in_half(model):
        fixed = Problem(problem.why, "sample an FP16 map, or give it the FP32 graph", problem.nodes)
        yield finding_from_problem(fixed, "error", "grid-sample-in-half", _IN_HALF)


def half_attention(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Note attention in FP16, which 11.3 and later sum in FP16 when they fuse it."""
    if target.newest < _ATTENTION.value:
        return
    found = [node for node in model.graph.all_nodes() if _is_half_attention(node)]
    if found:
        problem = Problem(
            f"{node_label(found[0])} is one of {len(found)} of attention in FP16, which 11.3 and "
            "later sum in FP16 when fused",
            "measure it on the device; Casts to FP32 around it keep the sums exact",
            tuple(map(node_name, found)),
        )
        yield finding_from_problem(problem, "note", "half-attention", _ATTENTION)


def _is_half_attention(node: ir.Node) -> bool:
    """Return whether a Softmax in FP16 stands between two MatMul."""
    if node.op_type not in ("Attention", "Softmax") or node.outputs[0].dtype != _Type.FLOAT16:
        return False
    if node.op_type == "Attention":
        return True
    return _is_of_product(node.inputs[0]) and _is_read_by_product(node.outputs[0])


def _is_of_product(value: ir.Value | None) -> bool:
    """Return whether a value is a MatMul's, maybe scaled or masked since."""
    waiting, seen = [value], set[ir.Node]()
    while waiting:
        value = waiting.pop()
        node = None if value is None else value.producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.op_type == "MatMul":
            return True
        if node.op_type in (*_TRANSPARENT, *_SCALED_OR_MASKED):
            waiting += node.inputs
    return False


def _is_read_by_product(value: ir.Value) -> bool:
    """Return whether a MatMul reads a value, maybe cast or moved before."""
    waiting = [value]
    while waiting:
        readers = [use.node for use in waiting.pop().uses()]
        if any(reader.op_type == "MatMul" for reader in readers):
            return True
        waiting += [reader.outputs[0] for reader in readers if reader.op_type in _TRANSPARENT]
    return False
