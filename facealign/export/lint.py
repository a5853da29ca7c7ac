"""The graph contract as checks; each problem is one line that names the node and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import onnx_ir as ir

from facealign.errors import GraphContractError
from facealign.export.graph import OPSET, STANDARD_DOMAINS, node_label
from facealign.export.precision_rules import Precision, precision_problems
from facealign.spec import BATCH, TensorSpec

__all__ = ["GRID_SAMPLE_MODES", "check_contract", "contract_problems"]

_FORBIDDEN = {
    "If": "control flow breaks TensorRT 11.1 and CUDA graphs",
    "Loop": "control flow; unroll it",
    "Scan": "control flow; unroll it",
    "NonZero": "its output shape depends on data; use a constant Gather",
    "Unique": "its output shape depends on data",
    "Compress": "its output shape depends on data; use a constant Gather",
    "ScatterND": "an in-place write; build the tensor with Concat",
    "ScatterElements": "an in-place write; build the tensor with Concat",
    "Einsum": "permute the weights once and use MatMul",
    "AffineGrid": "only from opset 20; write the grid as arithmetic",
    "RandomNormal": "training left in the graph",
    "RandomUniform": "training left in the graph",
    "Dropout": "training left in the graph",
}
GRID_SAMPLE_MODES = ("bilinear", "nearest", "bicubic")  # the spellings of opset 16
_DTYPES = {"uint8": ir.DataType.UINT8, "float32": ir.DataType.FLOAT}
_UNSUPPORTED_TYPES = (ir.DataType.DOUBLE, ir.DataType.COMPLEX64, ir.DataType.COMPLEX128)


def check_contract(
    model: ir.Model,
    image: TensorSpec,
    outputs: Sequence[TensorSpec],
    *,
    precision: Precision = "fp32",
) -> None:
    """Refuse a graph that breaks the contract.

    Args:
        model: The graph.
        image: Its input as the contract has it.
        outputs: Its outputs as the contract has them.
        precision: What the graph is named.

    Raises:
        GraphContractError: With every problem, in one line.
    """
    problems = contract_problems(model, image, outputs, precision=precision)
    if problems:
        raise GraphContractError("the graph breaks its contract: " + "; ".join(problems))


def contract_problems(
    model: ir.Model,
    image: TensorSpec,
    outputs: Sequence[TensorSpec],
    *,
    precision: Precision = "fp32",
) -> list[str]:
    """Return what is wrong with a graph, one line each; empty if nothing is.

    Args:
        model: The graph.
        image: Its input as the contract has it.
        outputs: Its outputs as the contract has them.
        precision: What the graph is named.
    """
    problems = list(_interface_problems(model, image, outputs))
    for rule in _NODE_RULES:
        for node in model.graph:
            problems += rule(node)
    problems += _opset_problems(model)
    problems += precision_problems(model.graph, precision)
    problems += _type_problems(model)
    return problems


def _interface_problems(
    model: ir.Model, image: TensorSpec, outputs: Sequence[TensorSpec]
) -> Iterator[str]:
    pairs = (("input", model.graph.inputs, [image]), ("output", model.graph.outputs, outputs))
    for kind, values, specs in pairs:
        names, expected = [value.name for value in values], [spec.name for spec in specs]
        if names != expected:
            yield f"{kind}s must be {expected}, got {names}"
            continue
        for value, spec in zip(values, specs, strict=True):
            yield from _tensor_problems(kind, value, spec)


def _tensor_problems(kind: str, value: ir.Value, spec: TensorSpec) -> Iterator[str]:
    if value.dtype != _DTYPES[spec.dtype]:
        yield f"{kind} `{spec.name}` must be {spec.dtype}, got {value.dtype}"
    shape = tuple(dim if isinstance(dim, int) else str(dim.value) for dim in (value.shape or ()))
    if shape != spec.shape:
        yield f"{kind} `{spec.name}` must be {spec.shape}, got {shape}; `{BATCH}` is dynamic"


def _opset_problems(model: ir.Model) -> Iterator[str]:
    version = model.opset_imports.get("", 0)
    if version != OPSET:
        yield f"opset must be {OPSET}, got {version}; TensorRT misreads GridSample of opset 20"
    for domain in model.opset_imports:
        if domain not in STANDARD_DOMAINS:
            yield f"only standard operators are allowed, got domain {domain!r}"
    for identifier in model.functions:
        yield f"no local functions are allowed, got {identifier[1]!r}"


def _type_problems(model: ir.Model) -> Iterator[str]:
    for name, value in model.graph.initializers.items():
        if value.dtype in _UNSUPPORTED_TYPES:
            yield f"initializer `{name}` is {value.dtype.name}; TensorRT has no such type"
    for node in model.graph:
        for value in node.outputs:
            if value.shape is None or value.dtype is None:
                yield f"`{value.name}` of {node_label(node)} has no inferred shape"
            elif value.dtype in _UNSUPPORTED_TYPES:
                yield f"{node_label(node)} gives {value.dtype.name}; TensorRT has no such type"


def _forbidden_operator(node: ir.Node) -> Iterator[str]:
    if node.op_type in _FORBIDDEN:
        yield f"{node_label(node)} is not allowed: {_FORBIDDEN[node.op_type]}"


def _custom_operator(node: ir.Node) -> Iterator[str]:
    if node.domain not in STANDARD_DOMAINS:
        yield f"{node_label(node)} is a custom operator of {node.domain!r}"


def _grid_sample_mode(node: ir.Node) -> Iterator[str]:
    if node.op_type != "GridSample":
        return
    mode = node.attributes.get_string("mode", "bilinear")
    if mode not in GRID_SAMPLE_MODES:
        yield (
            f"{node_label(node)} has mode {mode!r}; "
            "TensorRT reads it as nearest, so write 'bilinear'"
        )


def _training_batch_norm(node: ir.Node) -> Iterator[str]:
    if node.op_type == "BatchNormalization" and node.attributes.get_int("training_mode"):
        yield f"{node_label(node)} is in training mode; call `eval()` before the trace"


_NODE_RULES: tuple[Callable[[ir.Node], Iterator[str]], ...] = (
    _forbidden_operator,
    _custom_operator,
    _grid_sample_mode,
    _training_batch_norm,
)
