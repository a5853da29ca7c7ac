"""Products with learned weights: what of a graph can run in INT8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx_ir as ir

__all__ = ["Product", "is_grouped", "learned_product", "node_name"]


@dataclass(frozen=True, slots=True)
class Product:
    """A node that multiplies an activation by a constant.

    Attributes:
        node: Conv, ConvTranspose, Gemm or MatMul.
        activation_index: Which input is the activation.
        weight_index: Which input is the constant.
        axis: Of the constant: output channels.
        terms: How many products one output sums.
    """

    node: ir.Node
    activation_index: int
    weight_index: int
    axis: int
    terms: int

    @property
    def activation(self) -> ir.Value:
        """Its activation."""
        return _input(self.node, self.activation_index)

    @property
    def weight(self) -> ir.Value:
        """Its constant."""
        return _input(self.node, self.weight_index)


def learned_product(node: ir.Node) -> Product | None:
    """Return `node` as a product, or nothing if it is none, or one of two activations."""
    if node.domain not in {"", "ai.onnx"}:
        return None
    if node.op_type in {"Conv", "ConvTranspose"}:
        return _convolution(node)
    if node.op_type in {"Gemm", "MatMul"}:
        return _matrix_product(node)
    return None


def node_name(node: ir.Node) -> str:
    """Return how a node is called in reports and in lists of what stays float."""
    return str(node.name or node.outputs[0].name)


def is_grouped(node: ir.Node) -> bool:
    """Return whether a node is a depthwise or group convolution."""
    return node.attributes.get_int("group", 1) != 1


def _convolution(node: ir.Node) -> Product | None:
    shape = _constant_shape(node, 1)
    if shape is None or _constant_shape(node, 0) is not None:
        return None
    if node.op_type == "ConvTranspose":
        return Product(node, 0, 1, axis=1, terms=shape[0] // node.attributes.get_int("group", 1))
    return Product(node, 0, 1, axis=0, terms=math.prod(shape[1:]))


def _matrix_product(node: ir.Node) -> Product | None:
    left, right = _constant_shape(node, 0), _constant_shape(node, 1)
    if (left is None) == (right is None):
        return None
    if right is not None:
        if len(right) < 2:
            return None
        is_transposed = bool(node.attributes.get_int("transB", 0))
        axis = len(right) - (2 if is_transposed else 1)
        return Product(node, 0, 1, axis, terms=right[-1 if is_transposed else -2])
    if left is None or len(left) < 2:
        return None
    is_transposed = bool(node.attributes.get_int("transA", 0))
    axis = len(left) - (1 if is_transposed else 2)
    return Product(node, 1, 0, axis, terms=left[-2 if is_transposed else -1])


def _constant_shape(node: ir.Node, index: int) -> tuple[int, ...] | None:
    value = node.inputs[index]
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return tuple(value.const_value.shape.numpy())


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    if value is None:
        raise ValueError(f"`{node_name(node)}` has no input {index}")
    return value
