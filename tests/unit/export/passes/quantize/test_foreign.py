from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from facealign.export.graph import bytes_from_graph, node_counts
from facealign.export.passes.quantize import quantize
from facealign.export.passes.quantize.foreign import (
    matrices_off_axis,
    planned_nodes,
    quantized_products,
    with_pairs_at,
)
from tests.unit.export.passes.quantize.reading import edges, quantized_sources
from tests.unit.export.passes.quantize.test_tensorrt import RESIDUAL

Parse = Callable[[str], ir.Model]
Ranges = Callable[[ir.Model], dict[str, float]]
# A pair on the tensor x, for the convolution and for the GridSample.
ON_THE_TENSOR = """
g (float[B,16,8,8] x, float[B,4,4,2] grid, float[16,16,1,1] w1) => (float[B,16,8,8] y,
   float[B,16,4,4] z)
<float scale = {0.1}, int8 zero = {0}>
{ xq = QuantizeLinear(x, scale, zero)
  xd = DequantizeLinear(xq, scale, zero)
  wq = QuantizeLinear(w1, scale, zero)
  wd = DequantizeLinear(wq, scale, zero)
  y = Conv(xd, wd)
  z = GridSample(xd, grid) }
"""
STORED_WEIGHT = """
g (float[B,16,8,8] x) => (float[B,16,8,8] y)
<float scale = {0.1}, int8 zero = {0}, int8[16,16,1,1] codes>
{ wd = DequantizeLinear(codes, scale, zero)
  y = Conv(x, wd) }
"""
MATRICES = """
g (float[B,3,8,8] image, float[32,3,3,3] w0, float[20,32] w1, float[64,24] w2, float[1,24,28] w3,
   float[28,30] w4) => (float[B,20,30] landmarks)
<int64[3] rows = {-1, 32, 64}>
{ c = Conv<pads = [1,1,1,1]>(image, w0)
  r = Reshape(c, rows)
  left = MatMul(w1, r)
  right = MatMul(left, w2)
  deep = MatMul(right, w3)
  landmarks = MatMul(deep, w4) }
"""


def test_planned_nodes_are_the_products_and_the_sums_of_our_plan(float_graph: Parse) -> None:
    assert planned_nodes(float_graph(RESIDUAL)) == {"c1", "c2", "sum"}


def test_planned_nodes_lose_the_sum_with_its_convolution(float_graph: Parse) -> None:
    assert planned_nodes(float_graph(RESIDUAL), leave_float=["c2"]) == {"c1"}


def test_quantized_products_read_both_factors_through_pairs(
    float_graph: Parse, ranges_for: Ranges
) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model), leave_float=["c1"])

    assert quantized_products(quantized) == {"c2"}


def test_with_pairs_at_all_planned_nodes_changes_nothing(
    float_graph: Parse, ranges_for: Ranges
) -> None:
    model = float_graph(RESIDUAL)
    quantized = quantize(model, ranges_for(model))

    kept = with_pairs_at(quantized, planned_nodes(model))

    assert bytes_from_graph(kept) == bytes_from_graph(quantized)


def test_with_pairs_at_gives_other_readers_of_a_tensor_its_float_numbers(
    float_graph: Parse,
) -> None:
    model = float_graph(ON_THE_TENSOR)

    kept = with_pairs_at(model, ["y"])

    assert edges(kept, "y") == ["q(x)", "q(w1)"]
    assert edges(kept, "z") == ["x", "grid"]
    assert edges(model, "z") == ["q(x)", "grid"]


def test_with_pairs_at_takes_pairs_that_nothing_reads_out_of_the_graph(
    float_graph: Parse, ranges_for: Ranges
) -> None:
    model = float_graph(RESIDUAL)
    quantized = quantize(model, ranges_for(model))

    kept = with_pairs_at(quantized, ["c1"])

    assert quantized_sources(kept) == ["w1", "x"]
    assert node_counts(kept)["DequantizeLinear"] == 2


def test_with_pairs_at_twice_is_the_same_as_once(float_graph: Parse) -> None:
    once = with_pairs_at(float_graph(ON_THE_TENSOR), ["y"])

    assert bytes_from_graph(with_pairs_at(once, ["y"])) == bytes_from_graph(once)


def test_with_pairs_at_leaves_a_weight_whose_float_numbers_are_gone(float_graph: Parse) -> None:
    kept = with_pairs_at(float_graph(STORED_WEIGHT), [])

    assert edges(kept, "y") == ["x", "dq(codes)"]


def test_matrices_off_axis_are_those_on_the_left_and_in_three_dimensions(
    float_graph: Parse,
) -> None:
    assert matrices_off_axis(float_graph(MATRICES), 1) == {"left", "deep"}
