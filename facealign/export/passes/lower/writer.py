"""Writes the nodes that stand for another node, each value named after what it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["NodeWriter"]

_FULL = ir.DataType.FLOAT
_Attribute = int | float | str | Sequence[int]


class NodeWriter:
    """Nodes and constants for `replaced`; nothing is in the graph before `finish`.

    Constants are shared by name and content, so that what is written twice is stored once.
    """

    def __init__(self, graph: ir.Graph, replaced: ir.Node) -> None:
        self._graph = graph
        self._replaced = replaced
        self._nodes: list[ir.Node] = []
        self._prefix = replaced.outputs[0].name

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        name: str,
        attributes: Mapping[str, _Attribute] | None = None,
    ) -> ir.Value:
        """Return what a new node gives, of a standard operator with one output.

        Args:
            op_type: Of the standard.
            inputs: Of the node.
            name: What the value is; it must be unlike the others of this writer.
            attributes: Of the node.
        """
        return self.split(op_type, inputs, (name,), attributes)[0]

    def split(
        self,
        op_type: str,
        inputs: Sequence[ir.Value],
        names: Sequence[str],
        attributes: Mapping[str, _Attribute] | None = None,
    ) -> list[ir.Value]:
        """Return what a new node with several outputs gives; as `op`."""
        outputs = [ir.Value(name=f"{self._prefix}.{name}") for name in names]
        node_name = outputs[0].name
        self._nodes.append(ir.node(op_type, inputs, attributes, outputs=outputs, name=node_name))
        return outputs

    def in_full(self, value: ir.Value, name: str) -> ir.Value:
        """Return a value in FP32: itself, another initializer, or a Cast; `name` as in `op`."""
        if value.dtype == _FULL:
            return value
        if value.const_value is None:
            return self.op("Cast", (value,), name, {"to": int(_FULL)})
        return self.constant(value.const_value.numpy().astype(np.float32), f"{value.name}.fp32")

    def constant(self, array: NDArray[np.generic], name: str) -> ir.Value:
        """Return an initializer.

        Args:
            array: What it holds.
            name: Of the whole graph; a number follows if another constant has it.
        """
        return constant(self._graph, array, name)

    def finish(self, new: ir.Value) -> None:
        """Put the nodes where the replaced one is, which goes; `new` takes its output's place."""
        ir.convenience.replace_nodes_and_values(
            self._graph,
            self._replaced,
            [self._replaced],
            self._nodes,
            [self._replaced.outputs[0]],
            [new],
        )


def constant(graph: ir.Graph, array: NDArray[np.generic], name: str) -> ir.Value:
    """Return the initializer of that name that holds `array`; a new one if there is none."""
    candidate, count = name, 1
    while candidate in graph.initializers:
        value = graph.initializers[candidate]
        if _holds(value, array):
            return value
        count += 1
        candidate = f"{name}.{count}"
    tensor = ir.tensor(np.array(array, order="C"), name=candidate)
    type_, shape = ir.TensorType(tensor.dtype), ir.Shape(array.shape)
    value = ir.Value(name=candidate, const_value=tensor, type=type_, shape=shape)
    graph.initializers.add(value)
    return value


def _holds(value: ir.Value, array: NDArray[np.generic]) -> bool:
    if value.const_value is None:
        return False
    held = value.const_value.numpy()
    return held.dtype == array.dtype and held.shape == array.shape and bool((held == array).all())
