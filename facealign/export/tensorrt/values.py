"""What a value of a graph holds, and which Q/DQ pair it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import node_name

__all__ = [
    "MOVES",
    "NodeRule",
    "Problem",
    "Rule",
    "behind",
    "constant_array",
    "dequantizer",
    "each_node",
    "external_values",
    "input_of",
    "is_constant",
    "is_external",
    "is_weight",
    "opset_of",
    "quantizer",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule finds; its text is one line.

    Attributes:
        why: What is wrong, with the label of the node.
        fix: What to do.
        nodes: Names of the nodes in question, as `node_name` has them; none if it is the file.
    """

    why: str
    fix: str
    nodes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.why}; {self.fix}"


Rule = Callable[[ir.Model], Iterator[Problem]]
NodeRule = Callable[[ir.Node], Iterator[Problem]]

# They keep every number, so that a Q/DQ pair before them is one on what reads them.
MOVES = ("Cast", "Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
_COPIES = ("Cast", "Identity")


def each_node(rule: NodeRule) -> Rule:
    """Return a rule on graphs that asks a rule on nodes, in subgraphs too.

    A problem that names no node is one of the node that was asked for.
    """

    @wraps(rule)
    def on_graph(model: ir.Model) -> Iterator[Problem]:
        for node in model.graph.all_nodes():
            for problem in rule(node):
                yield problem if problem.nodes else replace(problem, nodes=(node_name(node),))

    return on_graph


def opset_of(model: ir.Model) -> int:
    """Return the version of the standard operators, 0 if there is none; both spellings count."""
    return max(model.opset_imports.get("", 0), model.opset_imports.get("ai.onnx", 0))


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """Return an input of a node, or nothing where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def behind(value: ir.Value | None, op_types: tuple[str, ...]) -> ir.Value | None:
    """Return the value that `value` is made of by operators of `op_types`, first inputs only."""
    while value is not None:
        node = value.producer()
        if node is None or node.op_type not in op_types:
            return value
        value = input_of(node, 0)
    return None


def is_constant(value: ir.Value | None) -> bool:
    """Return whether a value is an initializer or a Constant, be it copied or cast."""
    return _tensor(behind(value, _COPIES)) is not None


def external_values(model: ir.Model) -> Iterator[ir.Value]:
    """Yield the constants that lie in other files."""
    for graph in model.graphs():
        yield from filter(is_external, graph.initializers.values())
    for node in model.graph.all_nodes():
        if node.op_type == "Constant":
            yield from filter(is_external, node.outputs)


def is_external(value: ir.Value) -> bool:
    """Return whether a constant lies in another file."""
    return isinstance(_tensor(value), ir.ExternalTensor)


def constant_array(value: ir.Value | None) -> NDArray[Any] | None:
    """Return what a constant holds; nothing if it is none, or lies in a file beside the graph."""
    tensor = _tensor(behind(value, ("Identity",)))
    if tensor is None or isinstance(tensor, ir.ExternalTensor):  # a path in a stranger's graph
        return None
    return tensor.numpy()


def _tensor(value: ir.Value | None) -> ir.TensorProtocol | None:
    try:
        return None if value is None else ir.convenience.get_const_tensor(value)
    except ValueError:  # a sparse Constant
        return None


def dequantizer(value: ir.Value | None, through: tuple[str, ...] = MOVES) -> ir.Node | None:
    """Return the DequantizeLinear that gives `value`, maybe moved or cast since, or nothing."""
    source = behind(value, through)
    node = None if source is None else source.producer()
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def quantizer(dequantize: ir.Node) -> ir.Node | None:
    """Return the QuantizeLinear in front of a DequantizeLinear, or nothing."""
    value = input_of(dequantize, 0)
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == "QuantizeLinear" else None


def is_weight(node: ir.Node) -> bool:
    """Return whether what a QuantizeLinear or a DequantizeLinear works on is a constant."""
    pair = quantizer(node) if node.op_type == "DequantizeLinear" else node
    return is_constant(input_of(pair or node, 0))
