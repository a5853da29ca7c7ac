"""A graph as bytes, its facts, and its probes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir

from facealign.errors import GraphContractError, InputError
from facealign.spec import BATCH

__all__ = [
    "OPSET",
    "STANDARD_DOMAINS",
    "bytes_from_graph",
    "check_onnx",
    "drop_unused_initializers",
    "expose_values",
    "finish_graph",
    "graph_facts",
    "graph_from_bytes",
    "infer_and_check",
    "node_counts",
    "node_label",
    "node_name",
    "parameter_count",
    "read_graph",
    "read_whole_graph",
]

# The last opset whose GridSample TensorRT reads as bilinear, the first with FP16 scales for Q/DQ.
OPSET = 19
STANDARD_DOMAINS = ("", "ai.onnx")
_IR_VERSION = 9  # the one that came with opset 19; older runtimes refuse newer ones


def finish_graph(model: ir.Model, *, metadata: Mapping[str, str]) -> ir.Model:
    """Return `model` with its batch named, all inner shapes inferred, and metadata; it is checked.

    Args:
        model: A simplified graph.
        metadata: Written to ``metadata_props``.

    Raises:
        GraphContractError: If the ONNX checker or strict shape inference refuses the graph.
    """
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version = "facealign", metadata["facealign_version"]
    model.graph.name = metadata["family"]
    model.metadata_props.clear()
    model.metadata_props.update({f"facealign.{key}": value for key, value in metadata.items()})
    for node in model.graph:
        for value in node.outputs:
            value.shape = _with_named_batch(value.shape) if value.is_graph_output() else None
    for value in model.graph.inputs:
        value.shape = _with_named_batch(value.shape)
    return infer_and_check(model)


def infer_and_check(model: ir.Model) -> ir.Model:
    """Return `model` with the types and shapes of all values; it is checked.

    Raises:
        GraphContractError: If the ONNX checker or strict shape inference refuses the graph.
    """
    try:
        proto = onnx.shape_inference.infer_shapes(
            ir.to_proto(model), check_type=True, strict_mode=True, data_prop=True
        )
    except onnx.shape_inference.InferenceError as error:
        raise GraphContractError(_refused(error)) from error
    inferred = ir.from_proto(proto)
    check_onnx(inferred)
    return inferred


def check_onnx(model: ir.Model) -> None:
    """Check a graph as the standard has it, types and shapes included.

    Raises:
        GraphContractError: If the ONNX checker or strict shape inference refuses it.
    """
    try:
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise GraphContractError(_refused(error)) from error


def _refused(error: Exception) -> str:
    return f"the ONNX checker refuses the graph: {' '.join(str(error).split())}"


def _with_named_batch(shape: ir.Shape | None) -> ir.Shape | None:
    """Return `shape` with `BATCH` for what is symbolic; a fixed batch stays, for the lint."""
    if shape is None:
        return None
    return ir.Shape([dim if isinstance(dim, int) else BATCH for dim in shape])


def bytes_from_graph(model: ir.Model) -> bytes:
    """Return the ONNX file of a graph; the same graph gives the same bytes."""
    data: bytes = ir.to_proto(model).SerializeToString(deterministic=True)
    return data


def graph_from_bytes(data: bytes) -> ir.Model:
    """Return the graph of an ONNX file.

    Raises:
        GraphContractError: If the bytes are no ONNX model.
    """
    try:
        proto = onnx.load_from_string(data)
        model = ir.from_proto(proto)
    except Exception as error:  # protobuf's DecodeError has no public name
        raise GraphContractError(f"not an ONNX model: {' '.join(str(error).split())}") from error
    if not proto.HasField("graph"):  # to protobuf an empty file is a message without fields
        raise GraphContractError("not an ONNX model: there is no graph in it")
    return model


def expose_values(data: bytes, names: Sequence[str]) -> bytes:
    """Return the ONNX file with inner values added to its outputs.

    Args:
        data: An ONNX file.
        names: Values to add; those that are outputs already, or are not in the graph, are left out.
    """
    model = graph_from_bytes(data)
    present = {value.name for value in model.graph.outputs}
    values = {value.name: value for node in model.graph for value in node.outputs}
    model.graph.outputs.extend(
        values[name] for name in names if name in values and name not in present
    )
    return bytes_from_graph(model)


def drop_unused_initializers(graph: ir.Graph) -> None:
    """Take out of a graph the initializers that nothing reads any more."""
    unused = [
        name
        for name, value in graph.initializers.items()
        if not value.uses() and not value.is_graph_output()
    ]
    for name in unused:
        del graph.initializers[name]


def node_counts(model: ir.Model) -> dict[str, int]:
    """Return how many nodes of each operator a graph has, the most frequent first."""
    return dict(Counter(node.op_type for node in model.graph).most_common())


def node_label(node: ir.Node) -> str:
    """Return what messages call a node: its operator, and its `node_name`."""
    return f"{node.op_type} `{node_name(node)}`"


def node_name(node: ir.Node) -> str:
    """Return how a node is called in reports and lists: its name, or that of its first output.

    One that gives nothing, as a custom operator may, is called after what it reads.
    """
    values = (*node.outputs, *filter(None, node.inputs))
    return str(node.name or next((value.name for value in values if value.name), ""))


def parameter_count(model: ir.Model) -> int:
    """Return how many numbers the initializers of a graph hold."""
    return sum(
        math.prod(value.const_value.shape.numpy())
        for value in model.graph.initializers.values()
        if value.const_value is not None
    )


def read_graph(path: Path) -> ir.Model:
    """Return the graph in an ONNX file.

    Raises:
        InputError: If the file cannot be read, or is no ONNX model.
    """
    try:
        return graph_from_bytes(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read graph `{path}`: {error.strerror}") from error
    except GraphContractError as error:
        raise InputError(f"`{path}` is no ONNX model; check the file") from error


def read_whole_graph(path: Path) -> ir.Model:
    """Return the graph in an ONNX file that computes something; an empty file is a model too.

    Raises:
        InputError: If the file cannot be read, is no ONNX model, or gives nothing.
    """
    model = read_graph(path)
    if not model.graph.outputs:
        raise InputError(f"`{path}` has no graph with outputs; check the file")
    return model


def graph_facts(model: ir.Model) -> dict[str, object]:
    """Return sizes, operators, inputs, outputs and metadata of a graph, by name."""
    return {
        "opset": model.opset_imports.get("", 0),
        "nodes": len(model.graph),
        "parameters": parameter_count(model),
        "operators": node_counts(model),
        "inputs": {str(value.name): f"{value.dtype} {value.shape}" for value in model.graph.inputs},
        "outputs": {
            str(value.name): f"{value.dtype} {value.shape}" for value in model.graph.outputs
        },
        "metadata": dict(model.metadata_props),
    }
