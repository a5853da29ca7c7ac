"""Rules on types, zero points, scales and axes of Q/DQ: what breaks each, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from facealign.export.tensorrt.quantizers import (
    quantized_types,
    scale_shapes,
    scale_types,
    scales,
    weight_axes,
    zero_points,
)
from facealign.export.tensorrt.values import Rule

Find = Callable[..., list[str]]
ACTIVATION = """
g (float[1, 2, 4, 4] x, float live) => (float[1, 2, 4, 4] y) <float s = {%s}, %s z = {%s}>
{ [q] i = QuantizeLinear(x, s, z) [d] y = DequantizeLinear(i, s, z) }
"""


def both(problem: str) -> list[str]:
    """Return the same problem of the two nodes of a pair."""
    return [f"QuantizeLinear `q` {problem}", f"DequantizeLinear `d` {problem}"]


@pytest.mark.parametrize(
    ("dtype", "problem"),
    [
        pytest.param(
            "uint8",
            "is UINT8; TensorRT reads it as INT8; unsigned activations are for ONNX Runtime alone",
            id="uint8",
        ),
        pytest.param("int16", "is INT16; quantise to INT8", id="int16"),
        pytest.param(
            "float8e4m3fn", "is FLOAT8E4M3FN; Orin has no FP8; quantise to INT8", id="fp8"
        ),
        pytest.param(
            "int4",
            "is INT4; it needs opset 21, where GridSample is misread; quantise to INT8",
            id="int4",
        ),
        pytest.param("float4e2m1", "is FLOAT4E2M1; Orin has no FP4; quantise to INT8", id="fp4"),
    ],
)
def test_quantized_types_finds(find: Find, dtype: str, problem: str) -> None:
    text = f"""
    g (float[2, 2] x, float s, {dtype} z) => (float[2, 2] y)
    {{ [q] i = QuantizeLinear(x, s, z) [d] y = DequantizeLinear(i, s, z) }}
    """

    assert find(quantized_types, text, opset=23) == both(problem)


def test_quantized_types_finds_left_out_zero_point(find: Find) -> None:
    text = (
        "g (float[2] x) => (y) <float s = {1}> { [q] i = QuantizeLinear(x, s) y = Cast<to = 1>(i) }"
    )

    assert find(quantized_types, text) == [
        (
            "QuantizeLinear `q` has no zero point, so ONNX takes UINT8 and TensorRT INT8; "
            "give it an INT8 zero point of 0"
        )
    ]


def test_quantized_types_allows_int8(find: Find) -> None:
    assert find(quantized_types, ACTIVATION % ("0.1", "int8", "0")) == []


def test_quantized_types_allows_dequantizer_of_int8_without_zero_point(find: Find) -> None:
    text = "g (int8[2] i) => (float[2] y) <float s = {1}> { y = DequantizeLinear(i, s) }"

    assert find(quantized_types, text) == []


def test_zero_points_finds_other_than_zero(find: Find) -> None:
    assert find(zero_points, ACTIVATION % ("0.1", "int8", "-3")) == both(
        "has a zero point of -3; TensorRT takes 0 alone, so quantise symmetrically"
    )


def test_zero_points_finds_computed(find: Find) -> None:
    text = """
    g (float[2] x, int8 z) => (int8[2] y) <float s = {1}> { [q] y = QuantizeLinear(x, s, z) }
    """

    assert find(zero_points, text) == [
        "QuantizeLinear `q` has a zero point that is not in the graph; make it a constant 0"
    ]


@pytest.mark.parametrize(
    ("rule", "name", "what"), [(zero_points, "z", "zero point"), (scales, "s", "scale")]
)
def test_numbers_in_another_file_are_not_called_absent(
    model_from_text: Callable[[str], ir.Model], rule: Rule, name: str, what: str
) -> None:
    model = model_from_text(ACTIVATION % ("1", "int8", "0"))
    value = model.graph.initializers[name]
    assert value.dtype is not None
    value.const_value = ir.ExternalTensor(
        "none.bin", 0, 1, value.dtype, shape=ir.Shape([]), name=name
    )

    assert [str(problem) for problem in rule(model)] == both(
        f"has a {what} that lies in another file; save the model as one file"
    )


def test_zero_points_allows_zero(find: Find) -> None:
    assert find(zero_points, ACTIVATION % ("0.1", "int8", "0")) == []


@pytest.mark.parametrize("scale", ["0", "-0.5"])
def test_scales_finds_not_above_zero(find: Find, scale: str) -> None:
    assert find(scales, ACTIVATION % (scale, "int8", "0")) == both(
        f"has a scale of {scale}; it must be finite and above 0 in float32, so calibrate again or "
        "leave it in float"
    )


@pytest.mark.parametrize("scale", [np.inf, np.nan])
def test_scales_finds_not_finite(model_from_text: Callable[[str], ir.Model], scale: float) -> None:
    model = model_from_text(ACTIVATION % ("1", "int8", "0"))
    model.graph.initializers["s"].const_value = ir.tensor(np.float32(scale), name="s")

    assert [str(problem) for problem in scales(model)] == both(
        f"has a scale of {scale:g}; it must be finite and above 0 in float32, so calibrate again "
        "or leave it in float"
    )


def test_scales_finds_computed(find: Find) -> None:
    text = ACTIVATION.replace("(x, s, z)", "(x, live, z)") % ("0.1", "int8", "0")

    assert find(scales, text) == [
        "QuantizeLinear `q` has a scale that is not in the graph; make it an initializer"
    ]


def test_scales_allows_small(find: Find) -> None:
    assert find(scales, ACTIVATION % ("1e-9", "int8", "0")) == []


SCALE_TYPE = """
g (%s[2] x) => (int8[2] y) <%s s = {1}, int8 z = {0}> { [q] y = QuantizeLinear(x, s, z) }
"""


@pytest.mark.parametrize(("data", "scale"), [("float16", "float"), ("float", "float16")])
def test_scale_types_finds_unlike_data(find: Find, data: str, scale: str) -> None:
    assert find(scale_types, SCALE_TYPE % (data, scale)) == [
        (
            f"QuantizeLinear `q` has {data.upper()} data and a {scale.upper()} scale; "
            "from opset 19 on give both one type"
        )
    ]


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_scale_types_allows_same(find: Find, dtype: str) -> None:
    assert find(scale_types, SCALE_TYPE % (dtype, dtype)) == []


def test_scale_types_allows_what_parser_casts_below_opset_19(find: Find) -> None:
    assert find(scale_types, SCALE_TYPE % ("float16", "float"), opset=17) == []


WEIGHT = """
g (float[1, 2, 4, 4] x) => (y)
<float[3, 2, 1, 1] w = {1, 2, 3, 4, 5, 6}, float[%d] s = {%s}, int8[%d] z = {%s}>
{
  [q] i = QuantizeLinear<axis = %d>(w, s, z)
  [d] f = DequantizeLinear<axis = %d>(i, s, z)
  [c] y = Conv(x, f)
}
"""
THREE, TWO = (3, "1, 1, 1", 3, "0, 0, 0"), (2, "1, 1", 2, "0, 0")


def test_scale_shapes_finds_scales_per_channel_of_activation(find: Find) -> None:
    text = """
    g (float[1, 2] x) => (float[1, 2] y) <float[2] s = {1, 1}, int8[2] z = {0, 0}>
    { [q] i = QuantizeLinear(x, s, z) [d] y = DequantizeLinear(i, s, z) }
    """

    assert find(scale_shapes, text) == both("has 2 scales on an activation; give it one")


def test_scale_shapes_finds_other_count(find: Find) -> None:
    assert find(scale_shapes, WEIGHT % (*TWO, 0, 0)) == both(
        "has 2 scales, and axis 0 is 3; they must agree"
    )


def test_scale_shapes_finds_axis_beyond_rank(find: Find) -> None:
    assert find(scale_shapes, WEIGHT % (*TWO, 7, 7)) == both(
        "has 2 scales, and axis 7 is none; they must agree"
    )


def test_scale_shapes_finds_blocks(find: Find) -> None:
    text = """
    g () => (float[2, 2] y)
    <float[2, 2] w = {1, 2, 3, 4}, float[1, 2] s = {1, 1}, int8[1, 2] z = {0, 0}>
    {
      [q] i = QuantizeLinear<axis = 0, block_size = 2>(w, s, z)
      [d] y = DequantizeLinear<axis = 0, block_size = 2>(i, s, z)
    }
    """

    assert find(scale_shapes, text, opset=21) == both(
        "has 2-D scales; INT8 takes one, or one per channel"
    )


@pytest.mark.parametrize("axis", [0, -4])
def test_scale_shapes_allows_one_per_channel(find: Find, axis: int) -> None:
    assert find(scale_shapes, WEIGHT % (*THREE, axis, axis)) == []


def test_scale_shapes_allows_one_in_a_vector(find: Find) -> None:
    text = """
    g (float[1, 2] x) => (int8[1, 2] y) <float[1] s = {1}, int8[1] z = {0}>
    { y = QuantizeLinear(x, s, z) }
    """

    assert find(scale_shapes, text) == []


def test_weight_axes_finds_input_channels_of_conv(find: Find) -> None:
    assert find(weight_axes, WEIGHT % (*TWO, 1, 1)) == both(
        "has its scales along axis 1 of the weight of Conv `c`; "
        "put them along 0, that of the output channels"
    )


def test_weight_axes_finds_pair_that_disagrees(find: Find) -> None:
    problems = find(weight_axes, WEIGHT % (*THREE, 0, 1))

    assert [problem.partition(" has")[0] for problem in problems] == ["DequantizeLinear `d`"]


def test_weight_axes_allows_output_channels_of_conv(find: Find) -> None:
    assert find(weight_axes, WEIGHT % (*THREE, 0, 0)) == []


def test_weight_axes_finds_channels_of_conv_transpose(find: Find) -> None:
    text = (WEIGHT % (*TWO, 1, 1)).replace("Conv(x, f)", "ConvTranspose(x3, f)")
    text = text.replace("float[1, 2, 4, 4] x", "float[1, 3, 4, 4] x3")

    assert find(weight_axes, text) == both(
        "has 2 scales for ConvTranspose `c`, of which releases disagree on the axis; give it one, "
        "or leave it in float"
    )


PRODUCT = """
g (float[2, 2] x) => (y) <float[2, 2] w = {1, 2, 3, 4}, float[2] s = {1, 1}, int8[2] z = {0, 0}>
{
  [q] i = QuantizeLinear<axis = %d>(w, s, z)
  [d] f = DequantizeLinear<axis = %d>(i, s, z)
  %s
}
"""


@pytest.mark.parametrize(
    ("node", "right"),
    [
        pytest.param("[p] y = MatMul(x, f)", 1, id="matmul"),
        pytest.param("[p] y = MatMul(f, x)", 0, id="matmul-from-left"),
        pytest.param("t = Transpose(f) [p] y = MatMul(x, t)", 0, id="transposed-matmul"),
        pytest.param("[p] y = Gemm(x, f)", 1, id="gemm"),
        pytest.param("[p] y = Gemm<transB = 1>(x, f)", 0, id="gemm-transposed"),
        pytest.param("[p] y = Gemm(f, x)", 0, id="gemm-from-left"),
        pytest.param("[p] y = Gemm<transA = 1>(f, x)", 1, id="gemm-from-left-transposed"),
    ],
)
def test_weight_axes_knows_output_channels(find: Find, node: str, right: int) -> None:
    wrong = find(weight_axes, PRODUCT % (1 - right, 1 - right, node))

    assert find(weight_axes, PRODUCT % (right, right, node)) == []
    assert [problem.partition(" of the")[0] for problem in wrong] == both(
        f"has its scales along axis {1 - right}"
    )
