"""Which sums are residuals, where every other condition for INT8 is met."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from facealign.export.passes.quantize.plan import Skip, plan_products
from tests.unit.export.passes.quantize.test_tensorrt import RESIDUAL

Parse = Callable[[str], ir.Model]
# `guess` is a map of coordinates, as it gives a grid; a convolution of features is added to it.
GUIDED = """
g (float[B,3,8,8] image, float[16,3,3,3] w0, float[2,16,1,1] w1, float[2,16,3,3] w2,
   float[18,9] w3, float[9,20] w4, float[20,2] w5) => (float[B,2] landmarks)
<int64[2] spatial = {2, 3}>
{
  features = Conv<pads = [1,1,1,1]>(image, w0)
  guess = Conv(features, w1)
  grid = Transpose<perm = [0, 2, 3, 1]>(guess)
  sample = GridSample<mode = "bilinear", align_corners = 0>(features, grid)
  step = Conv<pads = [1,1,1,1]>(sample, w2)
  sum = Add(step, guess)
  sampled = Concat<axis = 1>(sample, sum)
  row = ReduceMean<keepdims = 0>(sampled, spatial)
  narrow = MatMul(row, w3)
  hidden = MatMul(narrow, w4)
  landmarks = MatMul(hidden, w5)
}
"""


def skips_of(model: ir.Model) -> list[tuple[str | None, int]]:
    return [(skip.node.outputs[0].name, skip.skip_index) for skip in plan_products(model).skips]


def products_of(model: ir.Model) -> list[str | None]:
    return [product.node.outputs[0].name for product in plan_products(model).products]


def test_plan_takes_a_sum_behind_a_convolution_for_a_residual(float_graph: Parse) -> None:
    model = float_graph(RESIDUAL)

    (skip,) = plan_products(model).skips

    assert isinstance(skip, Skip)
    assert (skip.node.outputs[0].name, skip.main_index, skip.skip_index) == ("sum", 0, 1)


def test_plan_takes_no_constant_for_a_skip_branch(float_graph: Parse) -> None:
    text = RESIDUAL.replace("Add(c2, x)", "Add(c2, w4)").replace(
        "float[4,16,1,1] w3", "float[4,16,1,1] w3, float[1,16,8,8] w4"
    )
    model = float_graph(text)

    assert products_of(model) == ["c1", "c2"]
    assert skips_of(model) == []


def test_plan_takes_no_doubled_convolution_for_a_residual(float_graph: Parse) -> None:
    model = float_graph(RESIDUAL.replace("Add(c2, x)", "Add(c2, c2)"))

    assert products_of(model) == ["c1", "c2"]
    assert skips_of(model) == []


def test_plan_takes_no_sum_with_coordinates_for_a_residual(float_graph: Parse) -> None:
    model = float_graph(GUIDED)

    assert "step" in products_of(model)
    assert skips_of(model) == []
