from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.islands import (
    coordinate_nodes,
    first_layers,
    grids,
    normalisation_nodes,
    values_of,
)

Parse = Callable[[str], ir.Model]


def names(nodes: set[ir.Node]) -> set[str | None]:
    return {value.name for value in values_of(nodes)}


def test_normalisation_ends_before_first_layer(network: ir.Model) -> None:
    found = names(normalisation_nodes(network.graph))

    assert found == {"float_image", "centred", "unit", "nchw"}


def test_normalisation_goes_through_mean_of_rows(filled: Parse) -> None:
    model = filled(
        """
        g (uint8[B, 8] image) => (float[B, 9] y)
        <float[8, 1] mean = {0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125}, float[8, 9] w>
        {
          x = Cast<to = 1>(image)
          square = Mul(x, x)
          variance = MatMul(square, mean)
          score = Div(x, variance)
          y = MatMul(score, w)
        }
        """
    )

    assert names(normalisation_nodes(model.graph)) == {"x", "square", "variance", "score"}


def test_grids_are_those_of_every_grid_sample(network: ir.Model) -> None:
    assert [value.name for value in grids(network.graph)] == ["start", "moved"]


@pytest.mark.parametrize(
    "name",
    ["landmarks", "delta_points", "delta", "moved", "scaled", "offsets_grid", "offsets", "start"],
)
def test_coordinates_reach_back_to_first_layer(network: ir.Model, name: str) -> None:
    assert name in names(coordinate_nodes(network.graph))


@pytest.mark.parametrize("name", ["neighbours", "relative", "relative_flat"])
def test_coordinates_reach_forward_to_next_layer(network: ir.Model, name: str) -> None:
    assert name in names(coordinate_nodes(network.graph))


@pytest.mark.parametrize(
    "name",
    ["features", "map", "first", "first_flat", "second", "encoded", "normed", "mixed", "batch"],
)
def test_coordinates_leave_features_alone(network: ir.Model, name: str) -> None:
    assert name not in names(coordinate_nodes(network.graph))


def test_coordinates_go_through_projection(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 16] x) => (float[B, 2] landmarks) <float[16, 3] head, float[3, 2] camera>
        {
          point = MatMul(x, head)
          landmarks = MatMul(point, camera)
        }
        """
    )

    assert names(coordinate_nodes(model.graph)) == {"point", "landmarks"}


def test_coordinates_take_in_decoding_of_heat_maps(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8, 4, 4] x) => (float[B, 5, 2] landmarks)
        <float[5, 8, 1, 1] w, int64[3] flat = {-1, 5, 16}, float[16, 2] cells>
        {
          features = Relu(x)
          maps = Conv(features, w)
          rows = Reshape(maps, flat)
          peaks = ArgMax<axis = 2, keepdims = 0>(rows)
          landmarks = Gather(cells, peaks)
        }
        """
    )

    assert names(coordinate_nodes(model.graph)) == {"maps", "rows", "peaks", "landmarks"}


def test_coordinates_are_what_is_between_head_and_grid_and_between_head_and_output(
    filled: Parse,
) -> None:
    model = filled(
        """
        g (float[B, 3, 8, 8] image) => (float[B, 2] landmarks)
        <float[16, 3, 3, 3] stem, float[16, 2] head, float[16, 20] w, float[20, 2] last,
         int64[2] spatial = {2, 3}, int64[4] as_grid = {-1, 1, 1, 2}, int64[2] flat = {0, -1}>
        {
          features = Conv<pads = [1, 1, 1, 1]>(image, stem)
          pooled = ReduceMean<keepdims = 0>(features, spatial)
          guess = MatMul(pooled, head)
          grid = Reshape(guess, as_grid)
          sample = GridSample(features, grid)
          row = Reshape(sample, flat)
          hidden = MatMul(row, w)
          delta = MatMul(hidden, last)
          landmarks = Add(guess, delta)
        }
        """
    )

    assert names(coordinate_nodes(model.graph)) == {"landmarks", "delta", "guess", "grid"}


def test_first_layers_are_the_first_on_every_way(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 3, 8, 8] image) => (float[B, 4, 8, 8] landmarks, float[B, 8, 8, 8] other)
        <float[3, 3, 1, 1] colours, float[16, 3, 3, 3] a, float[8, 3, 3, 3] b, float[4, 16, 1, 1] c>
        {
          mixed = Conv(image, colours)
          scaled = Tanh(mixed)
          first = Conv<pads = [1, 1, 1, 1]>(scaled, a)
          other = Conv<pads = [1, 1, 1, 1]>(image, b)
          landmarks = Conv(first, c)
        }
        """
    )

    assert names(first_layers(model.graph)) == {"first", "other"}


def test_first_layers_are_not_those_behind_samples_that_the_batch_size_shapes(
    network: ir.Model,
) -> None:
    assert names(first_layers(network.graph)) == {"map"}
