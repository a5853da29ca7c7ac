from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.lower.adjacency import (
    DENSEST,
    ComputedAdjacency,
    ConstantAdjacency,
    adjacency_of,
)
from tests.unit.export.passes.lower.graph_convolutions import (
    COUNT,
    computed_model,
    constant_model,
    mixing_of,
    model_with,
    random_adjacency,
)

NODES = f"float[B, 3, {COUNT}] nodes"
CONVOLVED = "y = Conv<kernel_shape = [1]>(mixed, w)"


def product_of(model: ir.Model) -> ir.Node:
    return next(node for node in model.graph if node.op_type == "MatMul")


def matrix_of(adjacency: ConstantAdjacency, count: int) -> NDArray[np.float64]:
    """Return the ``(N, M)`` matrix that the neighbours stand for."""
    matrix = np.zeros((count, len(adjacency.indices)))
    columns = np.arange(len(adjacency.indices))[:, None]
    np.add.at(matrix, (adjacency.indices, columns), adjacency.weights)
    return matrix


@pytest.mark.parametrize("shape", ["split", "whole"])
def test_adjacency_of_constant_is_that_matrix(rng: np.random.Generator, shape: str) -> None:
    adjacency = random_adjacency(rng)
    mixing = {"split": mixing_of(adjacency), "whole": adjacency.T}[shape]

    found = adjacency_of(product_of(constant_model(mixing)))

    assert isinstance(found, ConstantAdjacency)
    assert found.weights.dtype == np.float32
    np.testing.assert_array_equal(matrix_of(found, COUNT), mixing)


def test_adjacency_of_constant_names_no_more_neighbours_than_there_are() -> None:
    ring = np.eye(COUNT, dtype=np.float32) + np.roll(np.eye(COUNT, dtype=np.float32), 1, axis=1)

    found = adjacency_of(product_of(constant_model(ring)))

    assert isinstance(found, ConstantAdjacency)
    assert found.indices.shape == (COUNT, 2)
    assert found.indices[3].tolist() == [2, 3]


def test_adjacency_of_computed_names_edges_and_where_their_weights_are(
    rng: np.random.Generator,
) -> None:
    adjacency = random_adjacency(rng)

    found = adjacency_of(product_of(computed_model(rng, adjacency)))

    assert isinstance(found, ComputedAdjacency)
    assert found.values.name == "flat"
    edges = [
        set(row[place % 4 != 3]) for row, place in zip(found.indices, found.places, strict=True)
    ]
    assert edges == [set(np.flatnonzero(row)) for row in adjacency]


QUANTISED = f"""
g ({NODES}) => (float[B, 2, {COUNT}] y)
{{
  stored = QuantizeLinear<axis = 1>(exact, scale, zero)
  mixing = DequantizeLinear<axis = 1>(stored, scale, zero)
  mixed = MatMul(nodes, mixing)
  {CONVOLVED}
}}
"""
STORED = "\n".join(line for line in QUANTISED.splitlines() if " QuantizeLinear" not in line)


@pytest.fixture
def stored(rng: np.random.Generator) -> NDArray[np.int8]:
    """Return an adjacency in steps of some scale."""
    steps: NDArray[np.int8] = np.round(random_adjacency(rng).T * 100).astype(np.int8)
    return steps


@pytest.fixture
def held(rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return what a quantised product holds beside its adjacency."""
    scale = rng.uniform(0.1, 1, COUNT).astype(np.float32)
    return {"scale": scale, "zero": np.zeros(COUNT, np.int8), "w": np.ones((2, 3, 1), np.float32)}


def test_adjacency_of_stored_integers_is_what_they_stand_for(
    stored: NDArray[np.int8], held: dict[str, NDArray[Any]]
) -> None:
    found = adjacency_of(product_of(model_with(STORED, stored=stored, **held)))

    assert isinstance(found, ConstantAdjacency)
    np.testing.assert_array_equal(matrix_of(found, COUNT), stored * held["scale"])


def test_adjacency_of_quantised_constant_is_what_is_left_of_it(
    stored: NDArray[np.int8], held: dict[str, NDArray[Any]]
) -> None:
    exact = ((stored + 0.3 * (stored != 0)) * held["scale"]).astype(np.float32)

    found = adjacency_of(product_of(model_with(QUANTISED, exact=exact, **held)))

    assert isinstance(found, ConstantAdjacency)
    np.testing.assert_array_equal(matrix_of(found, COUNT), stored * held["scale"])


def test_adjacency_of_integers_with_a_zero_point_is_not_read(
    stored: NDArray[np.int8], held: dict[str, NDArray[Any]]
) -> None:
    held["zero"] = np.full(COUNT, 3, np.int8)

    assert adjacency_of(product_of(model_with(STORED, stored=stored, **held))) is None


def with_neighbours(degree: int) -> NDArray[np.float32]:
    """Return an ``(N, N)`` matrix whose columns have that many entries."""
    row = np.arange(COUNT)[:, None]
    return ((row - np.arange(COUNT)) % COUNT < degree).astype(np.float32)


def test_adjacency_is_found_up_to_the_stated_density() -> None:
    densest = constant_model(with_neighbours(int(DENSEST * COUNT)))

    assert adjacency_of(product_of(densest)) is not None


def off_diagonal_in_the_left_half() -> NDArray[np.float32]:
    mixing = mixing_of(with_neighbours(2))
    mixing[0, 1] = 1
    return mixing


def diagonal_in_the_right_half() -> NDArray[np.float32]:
    mixing = mixing_of(with_neighbours(2))
    mixing[0, COUNT] = 1
    return mixing


@pytest.mark.parametrize(
    "mixing",
    [
        pytest.param(with_neighbours(int(DENSEST * COUNT) + 1), id="too-dense"),
        pytest.param(np.ones((COUNT, COUNT), np.float32), id="full"),
        pytest.param(np.zeros((COUNT, COUNT), np.float32), id="empty"),
        pytest.param(np.eye(COUNT, 3 * COUNT, dtype=np.float32), id="another-shape"),
        pytest.param(off_diagonal_in_the_left_half(), id="left-half-is-no-diagonal"),
        pytest.param(diagonal_in_the_right_half(), id="right-half-has-a-diagonal"),
    ],
)
def test_adjacency_is_not_any_other_constant(mixing: NDArray[np.float32]) -> None:
    assert adjacency_of(product_of(constant_model(mixing))) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "mixed = MatMul(nodes, mixing) y = Relu(mixed)", id="goes-into-no-convolution"
        ),
        pytest.param("y = MatMul(nodes, mixing)", id="is-an-output"),
        pytest.param(
            "mixed = MatMul(nodes, mixing) "
            "y = Conv<kernel_shape = [3], pads = [1, 1]>(mixed, three)",
            id="convolution-over-neighbours-in-a-row",
        ),
        pytest.param(
            "mixed = MatMul(nodes, mixing) other = Relu(mixed) one = Conv<kernel_shape = [1]>"
            "(mixed, w) y = Add(one, other)",
            id="something-else-reads-it-too",
        ),
        pytest.param(
            "swapped = Transpose<perm = [0, 2, 1]>(nodes) mixed = MatMul(mixing, swapped) "
            "back = Transpose<perm = [0, 2, 1]>(mixed) y = Conv<kernel_shape = [1]>(back, w)",
            id="multiplied-from-the-left",
        ),
    ],
)
def test_adjacency_is_not_any_other_product(body: str) -> None:
    text = f"g ({NODES}) => (float[B, 3, {COUNT}] y) {{ {body} }}"
    constants = {"w": np.ones((3, 3, 1), np.float32), "three": np.ones((3, 3, 3), np.float32)}
    model = model_with(text, mixing=with_neighbours(2), **constants)

    assert [adjacency_of(node) for node in model.graph] == [None] * len(model.graph)


def test_adjacency_is_not_attention() -> None:
    text = f"""
    g ({NODES}) => (float[B, 2, {COUNT}] y)
    {{
      keys = Transpose<perm = [0, 2, 1]>(nodes)
      scores = MatMul(keys, nodes)
      shares = Softmax<axis = 2>(scores)
      mixed = MatMul(nodes, shares)
      {CONVOLVED}
    }}
    """
    model = model_with(text, w=np.ones((2, 3, 1), np.float32))

    assert [adjacency_of(node) for node in model.graph] == [None] * len(model.graph)


def bias_not_low(model: ir.Model) -> None:
    bias = model.graph.initializers["bias"]
    assert bias.const_value is not None
    bias.const_value = ir.tensor(np.zeros_like(bias.const_value.numpy()), name="bias")


def weight_not_zero(model: ir.Model) -> None:
    weight = model.graph.initializers["weight"]
    assert weight.const_value is not None
    weight.const_value = ir.tensor(np.ones_like(weight.const_value.numpy()), name="weight")


def softmax_is_sigmoid(model: ir.Model) -> None:
    softmax = next(node for node in model.graph if node.op_type == "Softmax")
    softmax.op_type = "Sigmoid"


def softmax_over_landmarks(model: ir.Model) -> None:
    softmax = next(node for node in model.graph if node.op_type == "Softmax")
    softmax.attributes["axis"] = ir.AttrInt64("axis", 1)


def landmark_without_edges(model: ir.Model) -> None:
    for name, nothing in (("weight", 0), ("bias", -1e4)):
        value = model.graph.initializers[name]
        assert value.const_value is not None
        array = value.const_value.numpy().copy()
        array[:4] = nothing
        value.const_value = ir.tensor(array, name=name)


def gather_on_the_batch(model: ir.Model) -> None:
    gather = next(node for node in model.graph if node.op_type == "Gather")
    gather.attributes["axis"] = ir.AttrInt64("axis", 0)


@pytest.mark.parametrize(
    "plant",
    [
        bias_not_low,
        weight_not_zero,
        softmax_is_sigmoid,
        softmax_over_landmarks,
        landmark_without_edges,
        gather_on_the_batch,
    ],
)
def test_adjacency_is_not_computed_where_no_place_is_sure_to_be_zero(
    rng: np.random.Generator, plant: Callable[[ir.Model], None]
) -> None:
    model = computed_model(rng, random_adjacency(rng))

    plant(model)

    assert adjacency_of(product_of(model)) is None
