"""Which operators of a graph are layers, and which only move, sum or turn something."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

__all__ = ["LEAST_LAYER_TERMS", "MOVEMENT", "is_layer"]

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
_WEIGHT = 1  # input position in Conv, ConvTranspose, Gemm and MatMul


def is_layer(node: ir.Node) -> bool:
    """Return whether a node is a product that mixes features.

    It is one if it sums at least `LEAST_LAYER_TERMS` products per output. With constant factors
    that are all equal it is a sum or a mean, such as that of the z-score, and no layer.
    """
    if node.op_type not in {"Conv", "ConvTranspose", "Gemm", "MatMul"}:
        return False
    if _terms(node) < LEAST_LAYER_TERMS:
        return False
    return not any(_is_flat(value) for value in node.inputs[: _WEIGHT + 1])


def _terms(node: ir.Node) -> float:
    """Return how many products one output sums; infinite where the shapes do not say."""
    weight = _sizes(node.inputs[_WEIGHT])
    if node.op_type == "Conv":
        return math.prod(weight[1:]) if weight else math.inf
    if node.op_type == "ConvTranspose":
        return weight[0] * math.prod(weight[2:]) if weight else math.inf
    last_of_left = 0 if node.attributes.get_int("transA", 0) else -1
    first_of_right = -1 if node.attributes.get_int("transB", 0) or len(weight) == 1 else -2
    left = _sizes(node.inputs[0])
    known = [
        sizes[axis] for sizes, axis in ((left, last_of_left), (weight, first_of_right)) if sizes
    ]
    return min(known, default=math.inf)


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
