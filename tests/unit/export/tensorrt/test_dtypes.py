"""Rules on types: a graph that breaks each, and one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.tensorrt.dtypes import (
    grid_sample_in_half,
    grid_sample_types,
    half_precision_square,
    mixed_types,
    uint8_shapes,
    uint8_tensors,
    unknown_types,
    unsupported_types,
)

Find = Callable[..., list[str]]
UINT8_END = "is UINT8; only an input or output may be, with a Cast next to it"


def test_unknown_types_finds_operator_that_inference_does_not_know(find: Find) -> None:
    text = "g (float[1] x) => (y) { [n] y = Unheard(x) }"

    assert find(unknown_types, text) == [
        "`y` of Unheard `n` has no inferred type; infer shapes, or state it in the file"
    ]


def test_unknown_types_allows_inferred(find: Find) -> None:
    assert find(unknown_types, "g (float[1] x) => (y) { y = Relu(x) }") == []


def test_unsupported_types_finds_double_everywhere(find: Find) -> None:
    text = "g (double[1] x) => (double[1] y) <double[1] w = {1}> { [n] y = Add(x, w) }"

    assert find(unsupported_types, text) == [
        "input `x` is DOUBLE; TensorRT has no such type, so cast to FLOAT",
        "initializer `w` is DOUBLE; TensorRT has no such type, so cast to FLOAT",
        "`y` of Add `n` is DOUBLE; TensorRT has no such type, so cast to FLOAT",
    ]


@pytest.mark.parametrize("dtype", ["int16", "uint32", "complex64", "string"])
def test_unsupported_types_finds(find: Find, dtype: str) -> None:
    (problem,) = find(
        unsupported_types, f"g ({dtype}[1] x) => (float[1] y) {{ y = Cast<to = 1>(x) }}"
    )

    assert problem == (f"input `x` is {dtype.upper()}; TensorRT has no such type, so cast to FLOAT")


def test_unsupported_types_finds_int8_outside_of_pairs(find: Find) -> None:
    text = "g (int8[1] x) => (float[1] y) { y = Cast<to = 1>(x) }"

    assert find(unsupported_types, text) == [
        "input `x` is INT8, which stands between Q and DQ alone; cast to FLOAT"
    ]


def test_unsupported_types_leaves_pairs_to_their_own_rules(find: Find) -> None:
    text = """
    g (float[1] x) => (float[1] y) <float s = {1}, int8 z = {0}>
    { i = QuantizeLinear(x, s, z) y = DequantizeLinear(i, s, z) }
    """

    assert find(unsupported_types, text) == []


@pytest.mark.parametrize("dtype", ["float", "float16", "bfloat16", "int32", "int64", "bool"])
def test_unsupported_types_allows(find: Find, dtype: str) -> None:
    text = f"g ({dtype}[1] x) => ({dtype}[1] y) {{ y = Identity(x) }}"

    assert find(unsupported_types, text) == []


def test_uint8_tensors_finds_input_that_is_moved(find: Find) -> None:
    text = """
    g (uint8[2, 3] x) => (float[3, 2] y) { [t] moved = Transpose(x) y = Cast<to = 1>(moved) }
    """

    assert find(uint8_tensors, text) == [
        f"input `x` {UINT8_END}",
        f"`moved` of Transpose `t` {UINT8_END}",
    ]


def test_uint8_tensors_finds_initializer(find: Find) -> None:
    text = "g () => (float[1] y) <uint8[1] w = {1}> { y = Cast<to = 1>(w) }"

    assert find(uint8_tensors, text) == [f"initializer `w` {UINT8_END}"]


def test_uint8_tensors_allows_cast_next_to_input_and_output(find: Find) -> None:
    text = """
    g (uint8[2] x) => (uint8[2] y)
    { a = Cast<to = 1>(x) b = Relu(a) y = Cast<to = 2>(b) s = Shape(x) }
    """

    assert find(uint8_tensors, text) == []


def test_uint8_shapes_warns(find: Find) -> None:
    text = "g (uint8[2] x) => (int64[1] y) { [s] y = Shape(x) }"

    assert find(uint8_shapes, text) == ["Shape `s` reads UINT8 `x`; ask for the shape of its Cast"]


def test_uint8_shapes_is_silent_about_floats(find: Find) -> None:
    assert find(uint8_shapes, "g (float[2] x) => (int64[1] y) { y = Shape(x) }") == []


@pytest.mark.parametrize(
    "node",
    ["Add(x, h)", "MatMul(x, h)", "Pow(x, h)", "Concat<axis = 0>(x, h)", "Where(c, x, h)"],
)
def test_mixed_types_finds(find: Find, node: str) -> None:
    text = (
        f"g (float[2, 2] x, float16[2, 2] h, bool[2, 2] c) => (float[2, 2] y) {{ [n] y = {node} }}"
    )

    assert find(mixed_types, text) == [
        f"{node.partition('<')[0].partition('(')[0]} `n` mixes FLOAT and FLOAT16; cast to one type"
    ]


@pytest.mark.parametrize(
    "node",
    ["Gather(x, i)", "Reshape(x, i)", "Resize(h, , s)", "GridSample(h4, g4)", "Dropout(h, r)"],
)
def test_mixed_types_allows_types_of_their_own(find: Find, node: str) -> None:
    text = f"""
    g (float[2] x, int64[1] i, float16[1, 1, 2, 2] h, float[4] s,
       float16[1, 1, 2, 2] h4, float[1, 2, 2, 2] g4, float r) => (y) {{ y = {node} }}
    """

    assert find(mixed_types, text) == []


SAMPLE = """
g (%s[1, 1, 4, 4] x, %s[1, 2, 2, 2] grid, float[2] f) => (y, z)
{ [s] y = GridSample(x, grid) z = Cast<to = %d>(f) }
"""


def test_grid_sample_types_warns_of_two_types(find: Find) -> None:
    assert find(grid_sample_types, SAMPLE % ("float16", "float", 1)) == [
        (
            "GridSample `s` has a FLOAT16 map and a FLOAT grid; ONNX allows it, TensorRT was not "
            "tested: test it on the device"
        )
    ]


def test_grid_sample_in_half_warns_of_fp32_in_fp16_network(find: Find) -> None:
    assert find(grid_sample_in_half, SAMPLE % ("float", "float", 10)) == [
        (
            "GridSample `s` is FP32 in a network with FP16, reported wrong since 10.14.1 "
            "(pytorch/TensorRT#4074); test it on the device"
        )
    ]


@pytest.mark.parametrize(
    ("dtype", "to"), [pytest.param("float", 1, id="fp32"), pytest.param("float16", 10, id="fp16")]
)
def test_grid_sample_rules_are_silent_about_one_type(find: Find, dtype: str, to: int) -> None:
    assert find(grid_sample_in_half, SAMPLE % (dtype, dtype, to)) == []
    assert find(grid_sample_types, SAMPLE % (dtype, dtype, to)) == []


SQUARE = """
g (%s[1, 4] x, %s two) => (y) <int64[1] axes = {1}>
{ square = %s [m] y = ReduceMean(square, axes) }
"""


@pytest.mark.parametrize("square", ["Pow(x, two)", "Mul(x, x)"])
def test_half_precision_square_warns(find: Find, square: str) -> None:
    assert find(half_precision_square, SQUARE % ("float16", "float16", square)) == [
        (
            "ReduceMean `m` averages squares in FP16, which overflow above 255; keep "
            "LayerNormalization as one node, or cast to FP32"
        )
    ]


@pytest.mark.parametrize(
    ("dtype", "square"),
    [
        pytest.param("float", "Pow(x, two)", id="fp32"),
        pytest.param("float16", "Mul(x, two)", id="product"),
        pytest.param("float16", "Add(x, x)", id="sum"),
    ],
)
def test_half_precision_square_is_silent(find: Find, dtype: str, square: str) -> None:
    assert find(half_precision_square, SQUARE % (dtype, dtype, square)) == []
