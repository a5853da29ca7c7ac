from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.errors import GraphContractError
from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.assignment import GridSampleTypes
from facealign.export.passes.precision.check_typed import check_typed, typed_problems

FULL, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
Plant = Callable[[ir.Model], None]


def node_of(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.outputs[0].name == name)


def round_trip(model: ir.Model, user: str, position: int) -> None:
    """Send an input of a node through FP16 and back."""
    node = node_of(model, user)
    value = node.inputs[position]
    assert value is not None
    for wanted in (HALF, FULL):
        value = inserted_cast(model, node, value, wanted)
    node.replace_input_with(position, value)


def inserted_cast(
    model: ir.Model, before: ir.Node, value: ir.Value, wanted: ir.DataType
) -> ir.Value:
    name = f"{value.name}.planted"
    made = ir.Value(name=name, type=ir.TensorType(wanted), shape=value.shape)
    cast = ir.node("Cast", [value], {"to": int(wanted)}, outputs=[made], name=name)
    model.graph.insert_before(before, cast)
    return made


def in_half(model: ir.Model, *names: str) -> None:
    """Compute some nodes in FP16, whatever they take and give being cast."""
    for name in names:
        node = node_of(model, name)
        for position, value in enumerate(node.inputs):
            if value is not None and value.dtype == FULL:
                node.replace_input_with(position, inserted_cast(model, node, value, HALF))
        uses = list(node.outputs[0].uses())
        node.outputs[0].type = ir.TensorType(HALF)
        for user, position in uses:
            user.replace_input_with(position, inserted_cast(model, user, node.outputs[0], FULL))


def half_output(model: ir.Model) -> None:
    model.graph.outputs[0].type = ir.TensorType(HALF)


def half_grid(model: ir.Model) -> None:
    node = node_of(model, "second")
    grid = node.inputs[1]
    assert grid is not None
    node.replace_input_with(1, inserted_cast(model, node, grid, HALF))


PLANTED = [
    pytest.param(lambda m: round_trip(m, "second", 1), "`moved.planted` gives", id="grid"),
    pytest.param(half_grid, "GridSample `second` has a FLOAT16 grid", id="typed-grid"),
    pytest.param(
        lambda m: round_trip(m, "landmarks", 0), "`moved_points.planted` gives", id="landmarks"
    ),
    pytest.param(lambda m: in_half(m, "landmarks"), "Add `landmarks` gives", id="last-sum"),
    pytest.param(lambda m: in_half(m, "delta"), "Gemm `delta` gives", id="head"),
    pytest.param(lambda m: in_half(m, "scaled"), "Mul `scaled` gives", id="offsets"),
    pytest.param(lambda m: in_half(m, "relative"), "Sub `relative` gives", id="relative"),
    pytest.param(
        lambda m: round_trip(m, "relative", 0), "`moved.planted` gives", id="before-subtraction"
    ),
]


@pytest.mark.parametrize("grid_sample", ["mixed", "fp32", "fp16"])
def test_check_typed_passes_what_half_precision_gives(
    network: ir.Model, grid_sample: GridSampleTypes
) -> None:
    check_typed(half_precision(network, grid_sample=grid_sample), grid_sample=grid_sample)


@pytest.mark.parametrize(("plant", "problem"), PLANTED)
def test_check_typed_catches_half_coordinates(
    network: ir.Model, plant: Plant, problem: str
) -> None:
    typed = half_precision(network)
    plant(typed)

    with pytest.raises(GraphContractError, match="the FP16 graph is wrongly typed: ") as caught:
        check_typed(typed)

    assert problem in str(caught.value)


def test_check_typed_refuses_half_grid_nobody_asked_for(network: ir.Model) -> None:
    typed = half_precision(network, grid_sample="fp16")

    assert any("coordinates stay in FP32" in each for each in typed_problems(typed))


def test_check_typed_refuses_half_normalisation(network: ir.Model) -> None:
    typed = half_precision(network)
    in_half(typed, "centred")

    with pytest.raises(GraphContractError, match="Sub `centred` normalises the picture in FLOAT16"):
        check_typed(typed)


def test_check_typed_refuses_cast_of_cast(network: ir.Model) -> None:
    typed = half_precision(network)
    round_trip(typed, "mixed", 1)

    assert any("casts what was cast; take one" in each for each in typed_problems(typed))


def test_check_typed_refuses_cast_of_constant(network: ir.Model) -> None:
    typed = half_precision(network)
    node = node_of(typed, "scaled")
    two = node.inputs[1]
    assert two is not None
    node.replace_input_with(1, inserted_cast(typed, node, two, HALF))

    assert any("casts a constant; store it as FLOAT16" in each for each in typed_problems(typed))


def test_check_typed_refuses_output_that_is_not_full(network: ir.Model) -> None:
    typed = half_precision(network)
    half_output(typed)

    with pytest.raises(GraphContractError, match="output `landmarks` must be FLOAT, got FLOAT16"):
        check_typed(typed)


def test_check_typed_refuses_what_checker_refuses(network: ir.Model) -> None:
    typed = half_precision(network)
    mixed = node_of(typed, "mixed")
    mixed.replace_input_with(0, typed.graph.initializers["head"])

    with pytest.raises(GraphContractError, match="the ONNX checker refuses the graph"):
        check_typed(typed)


def test_check_typed_refuses_later_opset(network: ir.Model) -> None:
    typed = half_precision(network)
    typed.opset_imports[""] = 20

    with pytest.raises(GraphContractError, match="opset must be 19, got 20"):
        check_typed(typed)
