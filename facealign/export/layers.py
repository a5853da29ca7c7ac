"""What of a graph is a layer: products that mix features, not geometry, sums or movement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from facealign.export.graph import STANDARD_DOMAINS, node_name

__all__ = [
    "LEAST_LAYER_TERMS",
    "MOVEMENT",
    "Product",
    "is_grouped",
    "is_layer",
    "learned_product",
]

# Geometry multiplies by 3 (rotation), 4 (homogeneous points) or 6 numbers (the pose of SPIGA). The
# narrowest layer that gives coordinates has 12 terms in the tiny networks, 64 at full size.
LEAST_LAYER_TERMS = 8
MOVEMENT = frozenset(
    {
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_MATRIX_PRODUCTS = ("Gemm", "MatMul")
_LEFT, _RIGHT = 0, 1  # input positions of the factors; the right one of a convolution is its weight


@dataclass(frozen=True, slots=True)
class Product:
    """A node that multiplies an activation by learned numbers.

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
    terms: float

    @property
    def activation(self) -> ir.Value:
        """Its activation."""
        return _input(self.node, self.activation_index)

    @property
    def weight(self) -> ir.Value:
        """Its constant."""
        return _input(self.node, self.weight_index)


def is_layer(node: ir.Node) -> bool:
    """Return whether a node is a product that mixes features.

    It is one if it sums at least `LEAST_LAYER_TERMS` products per output, learned or not. With
    constant factors that are all equal it is a sum or a mean, such as that of the z-score, and no
    layer.
    """
    if not _is_product(node) or _terms(node) < LEAST_LAYER_TERMS:
        return False
    return not any(_is_flat(value) for value in node.inputs[: _RIGHT + 1])


def learned_product(node: ir.Node) -> Product | None:
    """Return `node` as a product by learned numbers; nothing if it is none.

    None are products of two activations, of two constants, and by a vector, which has no channels.
    It need not be a layer.
    """
    if not _is_product(node):
        return None
    left, right = _constant_rank(node, _LEFT), _constant_rank(node, _RIGHT)
    if (left is None) == (right is None):
        return None
    index, rank = (_LEFT, left) if right is None else (_RIGHT, right)
    if rank is None or rank < 2:
        return None
    axis = _output_axis(node, index, rank)
    return None if axis is None else Product(node, 1 - index, index, axis, _terms(node))


def is_grouped(node: ir.Node) -> bool:
    """Return whether a node is a depthwise or group convolution."""
    return _groups(node) != 1


def _is_product(node: ir.Node) -> bool:
    return node.domain in STANDARD_DOMAINS and node.op_type in _CONVOLUTIONS + _MATRIX_PRODUCTS


def _terms(node: ir.Node) -> float:
    """Return how many products one output sums; infinite where the shapes do not say."""
    weight = _sizes(node.inputs[_RIGHT])
    if node.op_type == "Conv":
        return math.prod(weight[1:]) if weight else math.inf
    if node.op_type == "ConvTranspose":
        return weight[0] // _groups(node) * math.prod(weight[2:]) if weight else math.inf
    last_of_left = 0 if node.attributes.get_int("transA", 0) else -1
    first_of_right = -1 if node.attributes.get_int("transB", 0) or len(weight) == 1 else -2
    left = _sizes(node.inputs[_LEFT])
    known = [
        sizes[axis] for sizes, axis in ((left, last_of_left), (weight, first_of_right)) if sizes
    ]
    return min(known, default=math.inf)


def _output_axis(node: ir.Node, index: int, rank: int) -> int | None:
    """Return the axis of the output channels in a factor; nothing if a convolution reads it."""
    if node.op_type in _CONVOLUTIONS:
        if index == _LEFT:
            return None
        return 0 if node.op_type == "Conv" else 1
    name = "transB" if index == _RIGHT else "transA"
    is_last = (index == _RIGHT) != bool(node.attributes.get_int(name, 0))
    return rank - 1 if is_last else rank - 2


def _groups(node: ir.Node) -> int:
    return node.attributes.get_int("group", 1)


def _sizes(value: ir.Value | None) -> list[float]:
    """Return the sizes of a value, infinite for one that is symbolic; empty if nothing is known."""
    if value is None or value.shape is None:
        return []
    return [size if isinstance(size, int) else math.inf for size in value.shape]


def _is_flat(value: ir.Value | None) -> bool:
    if value is None or value.const_value is None:
        return False
    weights = value.const_value.numpy()
    return bool(np.all(weights == weights.flat[0]))


def _constant_rank(node: ir.Node, index: int) -> int | None:
    value = node.inputs[index]
    if value is None or value.const_value is None or value.is_graph_input():
        return None
    return len(value.const_value.shape)


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    if value is None:
        raise ValueError(f"`{node_name(node)}` has no input {index}")
    return value
