from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx_ir.passes.common import TopologicalSortPass

from facealign.export.passes.simplify.shape_of_cast import ShapeOfCastPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SHAPE_FIRST = """
g (uint8[B, 4] x) => (float[B, 4] y)
{
  shape = Shape(x)
  number = Cast<to = 1>(x)
  ones = ConstantOfShape<value = float[1] {2.0}>(shape)
  y = Mul(number, ones)
}
"""
NO_CAST = """
g (uint8[B, 4] x) => (int64[2] shape, uint8[B, 4] y)
{
  shape = Shape(x)
  y = Identity(x)
}
"""
OF_FLOAT = """
g (float[B, 4] x) => (int64[2] shape, float16[B, 4] y)
{
  shape = Shape(x)
  y = Cast<to = 10>(x)
}
"""


def source_of_shape(model: ir.Model) -> ir.Value | None:
    return next(node for node in model.graph if node.op_type == "Shape").inputs[0]


def test_shape_of_cast_moves_a_shape_of_uint8(model_from_text: Parse) -> None:
    result = ShapeOfCastPass()(model_from_text(SHAPE_FIRST))

    source = source_of_shape(result.model)
    assert result.modified
    assert source is not None
    assert source.name == "number"


@pytest.mark.parametrize("batch", [1, 3])
def test_shape_of_cast_keeps_numbers(
    model_from_text: Parse, run: Run, rng: np.random.Generator, batch: int
) -> None:
    feeds = {"x": rng.integers(0, 256, (batch, 4), dtype=np.uint8)}

    model = TopologicalSortPass()(ShapeOfCastPass()(model_from_text(SHAPE_FIRST)).model).model

    expected = run(model_from_text(SHAPE_FIRST), feeds)["y"]
    np.testing.assert_array_equal(run(model, feeds)["y"], expected)


@pytest.mark.parametrize("text", [NO_CAST, OF_FLOAT], ids=["no-cast", "of-float"])
def test_shape_of_cast_leaves_other_shapes_alone(model_from_text: Parse, text: str) -> None:
    result = ShapeOfCastPass()(model_from_text(text))

    assert not result.modified
    assert source_of_shape(result.model) is result.model.graph.inputs[0]


def test_shape_of_cast_does_nothing_the_second_time(model_from_text: Parse) -> None:
    once = ShapeOfCastPass()(model_from_text(SHAPE_FIRST)).model

    assert not ShapeOfCastPass()(once).modified
