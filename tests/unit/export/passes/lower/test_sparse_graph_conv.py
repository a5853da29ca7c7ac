from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph, check_onnx, node_counts
from facealign.export.passes.lower.sparse_graph_conv import SparseGraphConvPass
from tests.unit.export.passes.lower.graph_convolutions import (
    COUNT,
    computed_model,
    constant_model,
    mixing_of,
    random_adjacency,
)

Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
Form = Literal["function", "gather"]

SAME = 1e-5  # issue 5; max measured 9.5e-7: nodes up to 4, ONNX Runtime 1.31 on CPU
SEEN = 1e-2
FORMS: list[Form] = ["function", "gather"]
every_form = pytest.mark.parametrize("form", FORMS)
by_hypothesis = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["split", "whole", "computed"])
def model(request: pytest.FixtureRequest, rng: np.random.Generator) -> ir.Model:
    """Return a graph with one kind of graph convolution."""
    adjacency = random_adjacency(rng)
    kinds = {
        "split": lambda: constant_model(mixing_of(adjacency)),
        "whole": lambda: constant_model(adjacency.T.copy()),
        "computed": lambda: computed_model(rng, adjacency),
    }
    return kinds[request.param]()


def feeds_of(
    model: ir.Model, rng: np.random.Generator, batch: int
) -> dict[str, NDArray[np.float32]]:
    sizes = {"nodes": (batch, 3, COUNT), "hidden": (batch, 4)}
    return {
        str(value.name): rng.normal(size=sizes[str(value.name)]).astype(np.float32)
        for value in model.graph.inputs
    }


@pytest.mark.parametrize(
    ("form", "operator"),
    [("function", "SparseGraphConv"), ("gather", "ReduceSum")],
)
def test_sparse_graph_conv_leaves_no_product(model: ir.Model, form: Form, operator: str) -> None:
    result = SparseGraphConvPass(form)(model)

    counts = node_counts(result.model)
    assert result.modified
    assert "MatMul" not in counts
    assert operator in counts


def test_sparse_graph_conv_says_under_which_name_its_plugin_registers(model: ir.Model) -> None:
    graph = SparseGraphConvPass("function")(model).model.graph

    node = next(node for node in graph if node.op_type == "SparseGraphConv")
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    assert (node.domain, attributes) == (
        "facealign",
        {"plugin_namespace": "facealign", "plugin_version": "1"},
    )


@pytest.mark.parametrize(("form", "count"), [("function", 1), ("gather", 0)])
def test_sparse_graph_conv_carries_its_body_if_asked(
    model: ir.Model, form: Form, count: int
) -> None:
    assert len(SparseGraphConvPass(form)(model).model.functions) == count


@every_form
def test_sparse_graph_conv_holds_the_standard(model: ir.Model, form: Form) -> None:
    check_onnx(SparseGraphConvPass(form)(model).model)


@every_form
def test_sparse_graph_conv_computes_shared_weights_once(
    rng: np.random.Generator, form: Form
) -> None:
    model = computed_model(rng, random_adjacency(rng))

    graph = SparseGraphConvPass(form)(model).model.graph

    read = [node for node in graph if "flat" in {value.name for value in node.inputs if value}]
    assert len([node for node in read if node.outputs[0].name == "mixing.edges"]) == 1


@every_form
@pytest.mark.parametrize("batch", [1, 3])
def test_sparse_graph_conv_keeps_numbers(
    model: ir.Model, run: Run, rng: np.random.Generator, form: Form, batch: int
) -> None:
    feeds = feeds_of(model, rng, batch)
    before = run(model, feeds)["y"]

    after = run(SparseGraphConvPass(form)(model.clone()).model, feeds)["y"]

    assert np.abs(after - before).max() <= SAME


def test_sparse_graph_conv_forms_give_the_same_bits(
    model: ir.Model, run: Run, rng: np.random.Generator
) -> None:
    feeds = feeds_of(model, rng, 2)

    found = [run(SparseGraphConvPass(form)(model.clone()).model, feeds)["y"] for form in FORMS]

    np.testing.assert_array_equal(found[0], found[1])


@every_form
@by_hypothesis
@given(
    seed=st.integers(0, 2**16),
    nodes=st.integers(1, 3).flatmap(
        lambda batch: arrays(
            np.float32, (batch, 3, COUNT), elements=st.floats(-4, 4, width=32, allow_nan=False)
        )
    ),
)
def test_sparse_graph_conv_keeps_numbers_of_any_graph(
    run: Run, form: Form, seed: int, nodes: NDArray[np.float32]
) -> None:
    mixing = mixing_of(random_adjacency(np.random.default_rng(seed)))
    before = run(constant_model(mixing), {"nodes": nodes})["y"]

    after = run(SparseGraphConvPass(form)(constant_model(mixing)).model, {"nodes": nodes})["y"]

    assert np.abs(after - before).max() <= SAME


@every_form
def test_sparse_graph_conv_keeps_fp16(run: Run, rng: np.random.Generator, form: Form) -> None:
    mixing = mixing_of(random_adjacency(rng)).astype(np.float16)
    text = f"""
    g (float16[B, 3, {COUNT}] nodes) => (float16[B, 2, {COUNT}] y)
    {{
      mixed = MatMul(nodes, mixing)
      together = Reshape(mixed, sizes)
      wide = Cast<to = 1>(together)
      convolved = Conv<kernel_shape = [1]>(wide, w)
      y = Cast<to = 10>(convolved)
    }}
    """
    nodes = rng.uniform(-1, 1, (2, 3, COUNT)).astype(np.float16)
    before = run(constant_model(mixing, text), {"nodes": nodes})["y"]

    model = SparseGraphConvPass(form)(constant_model(mixing, text)).model

    check_onnx(model)
    after = run(model, {"nodes": nodes})["y"].astype(np.float32)
    assert np.abs(after - before.astype(np.float32)).max() <= 16 * np.finfo(np.float16).eps


@every_form
def test_sparse_graph_conv_casts_computed_weights_as_the_mixing_was_cast(
    rng: np.random.Generator, form: Form
) -> None:
    model = computed_model(rng, random_adjacency(rng))
    for node in [node for node in model.graph if node.op_type == "MatMul"]:
        in_half(model.graph, node)

    lowered = SparseGraphConvPass(form)(model).model

    check_onnx(lowered)
    assert "MatMul" not in node_counts(lowered)


def in_half(graph: ir.Graph, product: ir.Node) -> None:
    """Make a product of an FP32 graph one of FP16, with Casts around it."""
    half = ir.TensorType(ir.DataType.FLOAT16)
    for position, value in enumerate(product.inputs):
        assert value is not None
        cast = ir.Value(name=f"{product.outputs[0].name}.{position}", type=half, shape=value.shape)
        graph.insert_before(product, ir.node("Cast", [value], {"to": 10}, outputs=[cast]))
        product.replace_input_with(position, cast)
    old = product.outputs[0]
    full = ir.Value(name=f"{old.name}.full", type=old.type, shape=old.shape)
    old.replace_all_uses_with(full)
    old.type = half
    graph.insert_after(product, ir.node("Cast", [old], {"to": 1}, outputs=[full]))


@every_form
def test_sparse_graph_conv_runs_twice_without_change(model: ir.Model, form: Form) -> None:
    once = SparseGraphConvPass(form)(model).model
    data = bytes_from_graph(once)

    twice = SparseGraphConvPass(form)(once)

    assert not twice.modified
    assert bytes_from_graph(twice.model) == data


@every_form
def test_sparse_graph_conv_leaves_trained_weights_alone(
    rng: np.random.Generator, form: Form
) -> None:
    model = constant_model(rng.normal(size=(COUNT, COUNT)).astype(np.float32))
    before = bytes_from_graph(model)

    result = SparseGraphConvPass(form)(model)

    assert not result.modified
    assert bytes_from_graph(result.model) == before


def operand_of(model: ir.Model, position: int) -> ir.Value:
    node = next(node for node in model.graph if node.op_type == "SparseGraphConv")
    value = node.inputs[position]
    assert value is not None
    return value


def adjacency_transposed(rng: np.random.Generator) -> ir.Model:
    return constant_model(mixing_of(random_adjacency(rng).T))


def own_and_others_swapped(rng: np.random.Generator) -> ir.Model:
    mixing = mixing_of(random_adjacency(rng))
    return constant_model(np.roll(mixing, COUNT, axis=1))


def edge_left_out(rng: np.random.Generator) -> ir.Model:
    mixing = mixing_of(random_adjacency(rng))
    row, column = np.argwhere(mixing[:, COUNT:])[0]
    mixing[row, COUNT + column] = 0
    return constant_model(mixing)


@pytest.mark.parametrize("plant", [adjacency_transposed, own_and_others_swapped, edge_left_out])
def test_a_fault_in_the_adjacency_is_seen(
    run: Run, plant: Callable[[np.random.Generator], ir.Model]
) -> None:
    nodes = np.random.default_rng(3).normal(size=(2, 3, COUNT)).astype(np.float32)
    model = constant_model(mixing_of(random_adjacency(np.random.default_rng(7))))
    spoiled = SparseGraphConvPass("gather")(plant(np.random.default_rng(7))).model

    difference = run(spoiled, {"nodes": nodes})["y"] - run(model, {"nodes": nodes})["y"]

    assert np.abs(difference).max() > SEEN


def next_landmark(array: NDArray[np.generic]) -> NDArray[np.generic]:
    following: NDArray[np.int64] = (array.astype(np.int64) + 1) % COUNT
    return following


def neighbours_reversed(array: NDArray[np.generic]) -> NDArray[np.generic]:
    turned: NDArray[np.generic] = array[:, ::-1].copy()
    return turned


def empty_places_weigh(array: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.where(array == 0, 0.5, array).astype(np.float32)


@pytest.mark.parametrize(
    ("position", "change"),
    [
        (1, next_landmark),
        (1, neighbours_reversed),
        (2, neighbours_reversed),
        (2, empty_places_weigh),
    ],
)
def test_a_fault_in_neighbours_is_seen(
    run: Run,
    rng: np.random.Generator,
    position: int,
    change: Callable[[NDArray[np.generic]], NDArray[np.generic]],
) -> None:
    before = constant_model(mixing_of(random_adjacency(rng)))
    feeds = feeds_of(before, rng, 2)
    model = SparseGraphConvPass("function")(before.clone()).model
    operand = operand_of(model, position)

    assert operand.const_value is not None
    operand.const_value = ir.tensor(change(operand.const_value.numpy()), name=operand.name)

    assert np.abs(run(model, feeds)["y"] - run(before, feeds)["y"]).max() > SEEN
