from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.simplify.constant_resize_scales import ConstantResizeScalesPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ROUNDING = 1e-6  # max measured 0: values up to 3, ONNX Runtime 1.31 on CPU

SIZES_AT_RUN_TIME = """
g (float[B, 2, 4, 6] x) => (float[B, 2, 8, 18] y)
<int64[2] hw = {8, 18}>
{
  bc = Shape<start = 0, end = 2>(x)
  sizes = Concat<axis = 0>(bc, hw)
  y = Resize<mode = "%s", coordinate_transformation_mode = "%s">(x, , , sizes)
}
"""
LINEAR = SIZES_AT_RUN_TIME % ("linear", "half_pixel")

every_mode = pytest.mark.parametrize(
    "text",
    [
        pytest.param(LINEAR, id="linear-half-pixel"),
        pytest.param(SIZES_AT_RUN_TIME % ("linear", "align_corners"), id="linear-aligned"),
        pytest.param(SIZES_AT_RUN_TIME % ("linear", "asymmetric"), id="linear-asymmetric"),
        pytest.param(SIZES_AT_RUN_TIME % ("nearest", "half_pixel"), id="nearest"),
        pytest.param(SIZES_AT_RUN_TIME % ("cubic", "pytorch_half_pixel"), id="cubic"),
    ],
)


def resize_of(model: ir.Model) -> ir.Node:
    return next(node for node in model.graph if node.op_type == "Resize")


def test_constant_resize_scales_writes_whole_factors(model_from_text: Parse) -> None:
    model = model_from_text(LINEAR)

    result = ConstantResizeScalesPass()(model)

    scales = resize_of(result.model).inputs[2]
    assert result.modified
    assert len(resize_of(result.model).inputs) == 3
    assert scales is not None
    assert scales.const_value is not None
    np.testing.assert_array_equal(scales.const_value.numpy(), [1, 1, 2, 3])


@every_mode
@pytest.mark.parametrize("batch", [1, 3])
def test_constant_resize_scales_keeps_numbers(
    model_from_text: Parse, run: Run, rng: np.random.Generator, text: str, batch: int
) -> None:
    x = rng.normal(size=(batch, 2, 4, 6)).astype(np.float32)
    before = run(model_from_text(text), {"x": x})["y"]

    after = run(ConstantResizeScalesPass()(model_from_text(text)).model, {"x": x})["y"]

    assert after.shape == before.shape
    assert np.abs(after - before).max() <= ROUNDING


def test_constant_resize_scales_runs_twice_without_change(model_from_text: Parse) -> None:
    once = ConstantResizeScalesPass()(model_from_text(LINEAR)).model

    twice = ConstantResizeScalesPass()(once)

    assert not twice.modified


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            """
            g (float[B, 2, H, 6] x, int64[4] sizes) => (float[B, 2, G, 12] y)
            { y = Resize<mode = "linear">(x, , , sizes) }
            """,
            id="height-is-not-known",
        ),
        pytest.param(
            """
            g (float[1, 2, 4, 6] x) => (float[1, 2, 6, 9] y)
            <int64[4] sizes = {1, 2, 6, 9}>
            { y = Resize<mode = "linear">(x, , , sizes) }
            """,
            id="factor-is-not-whole",
        ),
        pytest.param(
            """
            g (float[1, 2, 4, 6] x) => (float[1, 2, 2, 3] y)
            <int64[4] sizes = {1, 2, 2, 3}>
            { y = Resize<mode = "linear">(x, , , sizes) }
            """,
            id="map-becomes-smaller",
        ),
        pytest.param(
            """
            g (float[B, 2, 4, 6] x) => (float[B, 2, 8, 12] y)
            <float[4] scales = {1, 1, 2, 2}>
            { y = Resize<mode = "linear">(x, , scales) }
            """,
            id="has-scales-already",
        ),
        pytest.param("g (float[B, 2] x) => (float[B, 2] y) { y = Relu(x) }", id="has-no-resize"),
    ],
)
def test_constant_resize_scales_leaves_alone(model_from_text: Parse, text: str) -> None:
    model = model_from_text(text)
    before = ir.to_proto(model).SerializeToString(deterministic=True)

    result = ConstantResizeScalesPass()(model)

    assert not result.modified
    assert ir.to_proto(result.model).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            """
            g (float[B, 2, 4, 6] x) => (float[B, 2, 8, 12] y)
            <int64[2] sizes = {8, 12}>
            { y = Resize<mode = "linear", axes = [2, 3]>(x, , , sizes) }
            """,
            id="sizes-of-two-axes",
        ),
        pytest.param(
            """
            g (float[1, 4, 6, 2] x) => (float[1, 8, 12, 2] y)
            <int64[4] sizes = {1, 8, 12, 2}>
            { y = Resize<mode = "linear">(x, , , sizes) }
            """,
            id="channels-last",
        ),
        pytest.param(
            """
            g (float[1, 2, 4, 6] x) => (float[1, 2, 8, 12] y)
            <int64[4] sizes = {1, 2, 8, 18}>
            { y = Resize<mode = "linear", keep_aspect_ratio_policy = "not_larger">(x, , , sizes) }
            """,
            id="aspect-ratio-is-kept",
        ),
    ],
)
def test_constant_resize_scales_leaves_other_kinds_of_resize_alone(
    model_from_text: Parse, text: str
) -> None:
    result = ConstantResizeScalesPass()(model_from_text(text))

    assert not result.modified


def test_constant_resize_scales_rewrites_every_resize(
    model_from_text: Parse, run: Run, rng: np.random.Generator
) -> None:
    text = """
    g (float[1, 2, 4, 6] x) => (float[1, 2, 8, 12] y, float[1, 2, 16, 24] z)
    <int64[4] sizes = {1, 2, 8, 12}, int64[4] larger = {1, 2, 16, 24}>
    {
      y = Resize<mode = "linear">(x, , , sizes)
      z = Resize<mode = "linear">(x, , , larger)
    }
    """
    x = rng.normal(size=(1, 2, 4, 6)).astype(np.float32)
    before = run(model_from_text(text), {"x": x})

    after = run(ConstantResizeScalesPass()(model_from_text(text)).model, {"x": x})

    assert np.abs(after["y"] - before["y"]).max() <= ROUNDING
    assert np.abs(after["z"] - before["z"]).max() <= ROUNDING
