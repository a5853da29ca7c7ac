"""Which products of a graph pass features along a sparse graph of landmarks, and along which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import STANDARD_DOMAINS

__all__ = ["DENSEST", "ComputedAdjacency", "ConstantAdjacency", "adjacency_of"]

DENSEST = 0.25  # neighbours of a landmark / landmarks; measured: at most 5 of 98 and 5 of 29
_NO_EDGE = -1e4  # the logit that `models.blocks.folded_graph` gives a place without an edge
_INT8 = (-128, 127)
_BETWEEN = frozenset({"Reshape", "QuantizeLinear", "DequantizeLinear", "Cast"})
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ConstantAdjacency:
    """A learned adjacency, by neighbours.

    Attributes:
        nodes: ``(B, F, N)`` features of landmarks.
        mixing: What they are multiplied with.
        indices: ``(M, K)`` which landmark, 0 to N - 1; 0 where a column has fewer than K.
        weights: ``(M, K)`` how much of it; 0 where a column has fewer than K.
    """

    nodes: ir.Value
    mixing: ir.Value
    indices: _Integers
    weights: NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class ComputedAdjacency:
    """An adjacency that is computed from the image, by neighbours.

    Attributes:
        nodes: ``(B, F, N)`` features of landmarks.
        mixing: What they are multiplied with.
        indices: ``(M, K)`` which landmark.
        places: ``(M, K)`` where in `values` its weight is; where a column has fewer than K, a place
            that is always 0.
        values: ``(B, P)`` the weights of all edges.
    """

    nodes: ir.Value
    mixing: ir.Value
    indices: _Integers
    places: _Integers
    values: ir.Value


def adjacency_of(node: ir.Node) -> ConstantAdjacency | ComputedAdjacency | None:
    """Return the adjacency that `node` multiplies with; None if it is no graph convolution.

    It is one if all of this holds:

    * It is a MatMul of ``(B, F, N)`` with ``(N, N)`` or ``(N, 2N)``, or with a batch of these. With
      2N the left half is a diagonal and the right half has none: what a landmark keeps, and
      what it takes from others. Of a batch of these, that is not asked.
    * What comes out goes into 1-D convolutions over the landmarks alone, directly or as
      ``(B, 2F, N)``. Layers that multiply features from the left, and attention, do not.
    * It is sparse: no landmark has more than a share of `DENSEST` of all for neighbours. Trained
      weights are full.
    * It is constant; or a Gather with constant indices from a linear layer and a Softmax over the
      edges of each landmark, of which some have weights of 0 and a bias of -1e4 or less, but not
      all: those are no edges, and exactly 0.
    """
    if node.op_type != "MatMul" or node.domain not in STANDARD_DOMAINS:
        return None
    nodes, mixing = node.inputs
    count = _last_size(nodes)
    if nodes is None or mixing is None or count is None:
        return None
    if not _feeds_convolutions(node.outputs[0]):
        return None
    array = _constant_array(mixing)
    if array is None:
        return _computed(nodes, mixing, count)
    return _constant(nodes, mixing, array, count)


def _constant(
    nodes: ir.Value, mixing: ir.Value, array: NDArray[Any], count: int
) -> ConstantAdjacency | None:
    columns = _neighbours(array.T != 0, count) if _is_mixing(array, count) else None
    if columns is None:
        return None
    indices, used = columns
    weights = np.take_along_axis(array.T, indices, axis=1)
    kept = np.where(used, weights, 0).astype(array.dtype)
    return ConstantAdjacency(nodes, mixing, indices, kept)


def _last_size(value: ir.Value | None) -> int | None:
    """Return N of ``(B, F, N)``."""
    shape = None if value is None else value.shape
    if shape is None or len(shape) != 3 or not isinstance(shape[2], int):
        return None
    return shape[2]


def _feeds_convolutions(mixed: ir.Value) -> bool:
    """Return whether 1-D convolutions over single landmarks read all of `mixed`, and nothing else.

    A Reshape between keeps the last axis: a convolution reads three axes, and asks for features.
    """
    if not mixed.uses():
        return False
    for node, position in mixed.uses():
        is_convolution = node.op_type == "Conv" and position == 0
        kernel = node.attributes.get_ints("kernel_shape", ())
        if is_convolution and list(kernel) == [1]:
            continue
        if node.op_type not in _BETWEEN or not _feeds_convolutions(node.outputs[0]):
            return False
    return True


def _is_mixing(array: NDArray[np.generic], count: int) -> bool:
    """Return whether `array` is ``(N, N)``, or a diagonal beside a matrix without one."""
    if array.shape == (count, count):
        return True
    if array.shape != (count, 2 * count):
        return False
    diagonal = np.eye(count, dtype=bool)
    own, others = array[:, :count] != 0, array[:, count:] != 0
    return not (own & ~diagonal).any() and not (others & diagonal).any()


def _neighbours(edges: NDArray[np.bool_], count: int) -> tuple[_Integers, NDArray[np.bool_]] | None:
    """Return ``(M, K)`` indices of the edges of each row, and which are used; None if too many."""
    degree = int(edges.sum(axis=1).max())
    if not 0 < degree <= DENSEST * count:
        return None
    # A stable sort keeps neighbours ascending, so that sums run in the order of the product.
    order = np.argsort(~edges, axis=1, kind="stable")[:, :degree].astype(np.int64)
    used = np.take_along_axis(edges, order, axis=1)
    return np.where(used, order, 0), used


def _computed(nodes: ir.Value, mixing: ir.Value, count: int) -> ComputedAdjacency | None:
    reshape = _producer(mixing, "Reshape")
    shape = () if mixing.shape is None else tuple(mixing.shape)[1:]
    gather = None if reshape is None else _producer(reshape.inputs[0], "Gather")
    if gather is None or shape not in {(count, count), (count, 2 * count)}:
        return None
    values, index = gather.inputs[0], _constant_array(gather.inputs[1])
    empty = _empty_places(values)
    if values is None or index is None or empty is None:
        return None
    if gather.attributes.get_int("axis", 0) != 1 or index.ndim != 1:
        return None
    places = index.astype(np.int64).reshape(count, -1).T  # (M, N)
    columns = _neighbours(~np.isin(places, empty), count)
    if columns is None:
        return None
    indices, used = columns
    kept = np.where(used, np.take_along_axis(places, indices, axis=1), empty[0])
    return ComputedAdjacency(nodes, mixing, indices, kept, values)


def _empty_places(values: ir.Value | None) -> _Integers | None:
    """Return where a flattened Softmax over the edges of each landmark is always 0."""
    nodes: list[ir.Node] = []
    value = values
    for op_type in ("Reshape", "Softmax", "Reshape", "Gemm"):
        node = _producer(value, op_type)
        if node is None:
            return None
        nodes.append(node)
        value = node.inputs[0]
    _, softmax, _, linear = nodes
    degree = _last_size(softmax.outputs[0])
    if degree is None or softmax.attributes.get_int("axis", -1) not in {-1, 2}:
        return None
    if len(linear.inputs) != 3 or not linear.attributes.get_int("transB", 0):
        return None
    weight, bias = (_constant_array(value) for value in linear.inputs[1:])
    if weight is None or bias is None:
        return None
    is_empty = ~weight.astype(bool).any(axis=1) & (bias.astype(np.float64) <= _NO_EDGE)
    # A Softmax over nothing but such places gives each its share.
    if not is_empty.any() or is_empty.reshape(-1, degree).all(axis=1).any():
        return None
    return np.flatnonzero(is_empty)


def _producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """Return the node of that type that gives `value`, perhaps through Casts."""
    node = None if value is None else value.producer()
    while node is not None and node.op_type == "Cast":
        source = node.inputs[0]
        node = None if source is None else source.producer()
    return node if node is not None and node.op_type == op_type else None


def _constant_array(value: ir.Value | None) -> NDArray[Any] | None:
    """Return a constant; one that is quantised, as its DequantizeLinear gives it."""
    if value is None:
        return None
    if value.const_value is not None:
        return value.const_value.numpy()
    node = value.producer()
    if node is None or node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
        return None
    array, scale, zero = (_constant_array(each) for each in (*node.inputs, None)[:3])
    if array is None or scale is None or (zero is not None and zero.any()):
        return None
    sides = [1] * array.ndim
    if scale.ndim:
        sides[node.attributes.get_int("axis", 1)] = -1
    steps: NDArray[Any] = scale.reshape(sides)
    if node.op_type == "DequantizeLinear":
        return np.asarray(array.astype(scale.dtype) * steps)
    return np.asarray(np.clip(np.rint(array / steps), *_INT8))
