"""Graph convolutions as text, as our exports have them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = [
    "COUNT",
    "computed_model",
    "constant_model",
    "mixing_of",
    "model_with",
    "random_adjacency",
]

COUNT = 12  # landmarks
_FEATURES = 3
_HIDDEN = 4
_PLACES = 4  # of a row: neighbours and the empty one
_CONSTANT = f"""
g (float[B, {_FEATURES}, {COUNT}] nodes) => (float[B, 2, {COUNT}] y)
{{
  mixed = MatMul(nodes, mixing)
  together = Reshape(mixed, sizes)
  y = Conv<kernel_shape = [1]>(together, w)
}}
"""
_COMPUTED = f"""
g (float[B, {_FEATURES}, {COUNT}] nodes, float[B, {_HIDDEN}] hidden) => (float[B, 2, {COUNT}] y)
{{
  logits = Gemm<transB = 1>(hidden, weight, bias)
  rows = Reshape(logits, by_row)
  values = Softmax<axis = 2>(rows)
  flat = Reshape(values, by_image)
  entries = Gather<axis = 1>(flat, index)
  mixing = Reshape(entries, square)
  mixed = MatMul(nodes, mixing)
  again = MatMul(nodes, mixing)
  one = Conv<kernel_shape = [1]>(mixed, w)
  two = Conv<kernel_shape = [1]>(again, w)
  y = Add(one, two)
}}
"""

Array = NDArray[np.float32]


def random_adjacency(rng: np.random.Generator, degree: int = 2) -> Array:
    """Return ``(N, N)``; row i holds what landmark i takes, itself among at most `degree` + 1."""
    adjacency = np.diag(rng.uniform(0.1, 1, COUNT)).astype(np.float32)
    for row in range(COUNT):
        others = rng.choice(COUNT, size=rng.integers(0, degree + 1), replace=False)
        adjacency[row, others] = rng.uniform(0.1, 1, len(others))
    return adjacency


def mixing_of(adjacency: Array) -> Array:
    """Return ``(N, 2N)``: the transpose's diagonal beside the rest of it."""
    diagonal = np.eye(len(adjacency), dtype=bool)
    return np.concatenate(
        [np.where(diagonal, adjacency.T, 0), np.where(diagonal, 0, adjacency.T)], axis=1
    )


def constant_model(mixing: NDArray[np.generic], text: str = _CONSTANT) -> ir.Model:
    """Return a graph that multiplies with a constant ``(N, N)`` or ``(N, 2N)``."""
    channels = _FEATURES * (mixing.shape[1] // COUNT)
    w = np.linspace(-1, 1, 2 * channels, dtype=np.float32).reshape(2, channels, 1)
    sizes = np.array([-1, channels, COUNT], np.int64)
    return model_with(text, mixing=mixing, w=w, sizes=sizes)


def computed_model(rng: np.random.Generator, adjacency: Array) -> ir.Model:
    """Return a graph that computes the weights of the edges of `adjacency` from the image."""
    edges = adjacency != 0
    places = np.full((COUNT, COUNT), _PLACES - 1)  # the last one of the first row
    weight = np.zeros((COUNT * _PLACES, _HIDDEN), np.float32)
    bias = np.full(COUNT * _PLACES, -1e4, np.float32)
    for row in range(COUNT):
        columns = np.flatnonzero(edges[row])
        own = row * _PLACES + np.arange(len(columns))
        places[row, columns] = own
        weight[own] = rng.normal(size=(len(own), _HIDDEN))
        bias[own] = rng.normal(size=len(own))
    return model_with(
        _COMPUTED,
        weight=weight,
        bias=bias,
        index=places.T.reshape(-1).astype(np.int64),
        by_row=np.array([-1, COUNT, _PLACES], np.int64),
        by_image=np.array([-1, COUNT * _PLACES], np.int64),
        square=np.array([-1, COUNT, COUNT], np.int64),
        w=np.linspace(-1, 1, 2 * _FEATURES, dtype=np.float32).reshape(2, _FEATURES, 1),
    )


def model_with(text: str, **constants: NDArray[np.generic]) -> ir.Model:
    """Return the graph of a text, opset 19, with these initializers, its shapes inferred."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
    proto.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()
    )
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))
