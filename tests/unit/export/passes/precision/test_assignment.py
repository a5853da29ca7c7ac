from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.passes.precision.assignment import (
    PrecisionRules,
    assign_precision,
    is_float,
)

Parse = Callable[[str], ir.Model]


def half_values(model: ir.Model, rules: PrecisionRules | None = None) -> set[str | None]:
    half = assign_precision(model.graph, rules).half
    return {value.name for node in half for value in node.outputs}


@pytest.mark.parametrize("name", ["map", "features", "first", "encoded", "mixed", "normed"])
def test_assignment_makes_features_half(network: ir.Model, name: str) -> None:
    assert name in half_values(network)


@pytest.mark.parametrize("name", ["centred", "offsets", "moved", "relative", "landmarks", "batch"])
def test_assignment_keeps_islands_full(network: ir.Model, name: str) -> None:
    assert name not in half_values(network)


@pytest.mark.parametrize("name", ["nchw", "relative_flat"])
def test_assignment_moves_in_half_what_only_half_takes(network: ir.Model, name: str) -> None:
    assert name in half_values(network)


def test_assignment_casts_whole_numbers_to_half_at_once(filled: Parse) -> None:
    model = filled(
        """
        g (uint8[B, 8, 8, 3] image) => (float[B, 9] y)
        <float[8, 3, 8, 8] w, int64[2] flat = {-1, 8}, float[8, 9] head>
        {
          x = Cast<to = 1>(image)
          nchw = Transpose<perm = [0, 3, 1, 2]>(x)
          map = Conv(nchw, w)
          row = Reshape(map, flat)
          y = Gemm(row, head)
        }
        """
    )

    assert half_values(model) == {"x", "nchw", "map", "row"}


def test_assignment_keeps_values_that_are_asked_for(network: ir.Model) -> None:
    half = half_values(network, PrecisionRules(keep=["mixed"]))

    assert {"mixed", "normed"}.isdisjoint(half)


def test_assignment_makes_nothing_half_but_what_is_asked_for(network: ir.Model) -> None:
    assert half_values(network, PrecisionRules(only=["encoded"])) == {"encoded"}


def test_assignment_samples_in_full_when_asked(network: ir.Model) -> None:
    half = half_values(network, PrecisionRules(grid_sample="fp32"))

    assert {"first", "second"}.isdisjoint(half)


def test_assignment_keeps_nodes_of_unfit_constants_full_and_names_them(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8] x) => (float[B, 2] y)
        <float[8, 8] w, float[1] mask = {-1000000}, float[8, 2] head>
        {
          a = MatMul(x, w)
          b = Add(a, mask)
          c = Softmax<axis = -1>(b)
          y = MatMul(c, head)
        }
        """
    )

    assignment = assign_precision(model.graph)

    assert [finding.value for finding in assignment.unfit] == ["mask"]
    assert half_values(model) == {"a", "c"}


def test_assignment_follows_unfit_constants_to_where_they_are_used(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8] x) => (float[B, 2] y)
        <float[8, 8] w, float[1] mask = {-1000000}, int64[1] sizes = {8}, float[8, 2] head>
        {
          a = MatMul(x, w)
          everywhere = Expand(mask, sizes)
          b = Add(a, everywhere)
          c = Softmax<axis = -1>(b)
          y = MatMul(c, head)
        }
        """
    )

    assert half_values(model) == {"a", "c"}


def test_assignment_leaves_whole_numbers_out(network: ir.Model) -> None:
    assert {"batch", "sizes"}.isdisjoint(half_values(network))


def test_is_float_is_false_of_whole_numbers(network: ir.Model) -> None:
    image, features = network.graph.inputs[0], network.graph.outputs[0]

    assert not is_float(image)
    assert is_float(features)
    assert not is_float(None)
