"""Which nodes of a graph each kernel of ONNX Runtime holds, told from its optimised graph.

It fuses nodes, lays tensors out anew and inserts kernels of its own. What stays is names: of nodes,
or of what they gave, with decorations. The rest follows from the order of the nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from facealign.export.graph import bytes_from_graph, graph_from_bytes
from facealign.export.traffic import GraphWork, NodeWork

__all__ = ["Kernel", "kernels_of", "named_graph"]

# ONNX Runtime 1.31: casts around operators without an FP16 kernel, blocked layouts, copies of
# shared DequantizeLinear, and numbers that make a name unique.
_DECORATION = re.compile(r"^InsertedPrecisionFreeCast_|_nchwc$|_token_\d+$|/duplicated$")
_FAMILIES = (("Conv", ("Conv", "ConvTranspose")), ("MatMul", ("MatMul",)), ("Gemm", ("Gemm",)))
# It inserts these itself too; they hold no other node.
_INSERTED = frozenset({"Cast", "Reshape", "Transpose", "ReorderInput", "ReorderOutput"})
_FUSED_BACKWARD = frozenset({"DequantizeLinear", "Transpose"})


@dataclass(slots=True)
class Kernel:
    """What ONNX Runtime runs as one.

    Attributes:
        name: As its profile has it.
        operator: As ONNX Runtime calls it, such as ``FusedConv``.
        keys: Of the nodes that it holds, see `NodeWork`; none if it was inserted.
    """

    name: str
    operator: str
    keys: list[str] = field(default_factory=list)


def named_graph(model: ir.Model) -> ir.Model:
    """Return a copy without functions, each node with a name of its own: that of its first output.

    Kernels can then be told apart, and ONNX Runtime would put functions in line anyway.
    """
    copy = graph_from_bytes(bytes_from_graph(model))
    plain = InlinePass()(copy).model
    for node in plain.graph:
        node.name = node.outputs[0].name
    return plain


def kernels_of(work: GraphWork, optimised: ir.Model) -> tuple[Kernel, ...]:
    """Return the kernels in their order, with every node of the graph in exactly one of them.

    Args:
        work: Of `named_graph`.
        optimised: What ONNX Runtime made of it.
    """
    kernels = _Kernels(work)
    for node in optimised.graph:
        kernels.add(node)
    kernels.complete()
    return tuple(kernels.kernels)


class _Kernels:
    def __init__(self, work: GraphWork) -> None:
        self._nodes = work.nodes
        self._by_tensor = {name: key for key, node in work.nodes.items() for name in node.outputs}
        self._consumers: dict[str, list[str]] = {key: [] for key in work.nodes}
        for key, node in work.nodes.items():
            for source in node.inputs:
                self._consumers[source].append(key)
        self._owner: dict[str, int] = {}
        self.kernels: list[Kernel] = []

    def add(self, node: ir.Node) -> None:
        """Note a kernel, with the nodes that its name and its outputs speak of."""
        number = len(self.kernels)
        self.kernels.append(Kernel(str(node.name), node.op_type))
        for name in (node.name, *(value.name for value in node.outputs)):
            key = self._by_tensor.get(_undecorated(str(name), self._by_tensor))
            if key is not None and self._can_hold(node.op_type, self._nodes[key]):
                self._take(key, number)

    def complete(self) -> None:
        """Give the nodes that no name speaks of to the kernels around them."""
        if not self.kernels:
            return
        for number, kernel in enumerate(self.kernels):
            self._take_product(number, kernel)
        for key in reversed(self._nodes):
            self._take_backward(key)
        for key in self._nodes:
            self._take_forward(key)

    def _take(self, key: str, number: int) -> None:
        if key not in self._owner:
            self._owner[key] = number
            self.kernels[number].keys.append(key)

    @staticmethod
    def _can_hold(operator: str, node: NodeWork) -> bool:
        return operator not in _INSERTED or operator == node.operator

    def _take_product(self, number: int, kernel: Kernel) -> None:
        """A convolution that is named by its activation holds the convolution before that."""
        wanted = _products_of(kernel.operator)
        if not kernel.keys or not wanted or self._operators(kernel) & set(wanted):
            return
        path = [kernel.keys[0]]
        while self._nodes[path[-1]].operator not in wanted:
            before = [key for key in self._nodes[path[-1]].inputs if key not in self._owner]
            if not before:
                return
            path.append(before[0])
        for key in path:
            self._take(key, number)

    def _take_backward(self, key: str) -> None:
        """A node joins the one kernel that reads it, if that is a fusion that begins before it."""
        owners = {self._owner.get(reader) for reader in self._consumers[key]}
        if key in self._owner or len(owners) != 1 or None in owners:
            return
        number = next(owner for owner in owners if owner is not None)
        kernel, node = self.kernels[number], self._nodes[key]
        is_between = any(self._owner.get(source) == number for source in node.inputs)
        is_product = bool(_products_of(kernel.operator))
        is_fusion = kernel.operator not in self._operators(kernel)
        begins_before = node.operator in _FUSED_BACKWARD if is_product else is_fusion
        if is_between or begins_before:
            self._take(key, number)

    def _take_forward(self, key: str) -> None:
        """A node joins the last of the kernels that it reads; the first of all if it reads none."""
        node = self._nodes[key]
        number = max((self._owner[source] for source in node.inputs), default=0)
        if key not in self._owner and self.kernels[number].operator in _INSERTED:
            number = self._moved(node.operator) or number
        self._take(key, number)

    def _moved(self, operator: str) -> int | None:
        """Return a kernel of that kind without nodes: one that was moved to before a Reshape."""
        free = (i for i, k in enumerate(self.kernels) if not k.keys and k.operator == operator)
        return next(free, None)

    def _operators(self, kernel: Kernel) -> set[str]:
        return {self._nodes[key].operator for key in kernel.keys}


def _products_of(operator: str) -> tuple[str, ...]:
    return next((products for word, products in _FAMILIES if word in operator), ())


def _undecorated(name: str, known: dict[str, str]) -> str:
    """Return a name as the graph has it, if taking decorations off one by one leads to one."""
    for candidate in _lesser_names(name):
        if candidate in known:
            return candidate
    return name


def _lesser_names(name: str) -> Iterator[str]:
    yield name
    while (lesser := _DECORATION.sub("", name, count=1)) != name:
        name = lesser
        yield name
