"""Rules on where Q/DQ stand: a graph that breaks each, and one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.tensorrt.placement import (
    half_quantized_products,
    quantized_biases,
    quantized_coordinates,
    quantized_inputs,
    quantized_sums,
    quantizers_behind_convolution,
    unpaired_quantizers,
)

Find = Callable[..., list[str]]
GRAPH = """
g (float[1, 2, 4, 4] x, float[1, 4, 4, 2] grid, float[1, 2, 4, 4] skip) => (y)
<float s = {0.1}, int8 z = {0}, int8[1] i8 = {1}, int32[2] i32 = {1, 1}, int32 z32 = {0},
 float[2, 2, 1, 1] w = {1, 2, 3, 4}, float[2] b = {1, 1}, float[4] ones = {1, 1, 1, 1}>
{ %s }
"""


def pair(of: str, name: str) -> str:
    """Return the text of a Q/DQ pair that gives `name`."""
    return (
        f"[q_{name}] {name}_int = QuantizeLinear({of}, s, z) "
        f"[d_{name}] {name} = DequantizeLinear({name}_int, s, z) "
    )


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        pytest.param(
            "[q] y = QuantizeLinear(x, s, z)",
            "QuantizeLinear `q` leaves INT8 at its end; put a DequantizeLinear behind it",
            id="output",
        ),
        pytest.param(
            "[q] i = QuantizeLinear(x, s, z) y = Relu(x)",
            "QuantizeLinear `q` leaves INT8 at its end; put a DequantizeLinear behind it",
            id="unread",
        ),
        pytest.param(
            "[q] i = QuantizeLinear(x, s, z) [c] y = Cast<to = 1>(i)",
            "Cast `c` reads INT8 of QuantizeLinear `q`; put a DequantizeLinear between",
            id="other-reader",
        ),
        pytest.param(
            "[d] y = DequantizeLinear(i8, s, z)",
            "DequantizeLinear `d` has no QuantizeLinear before it; keep the weight in float and "
            "quantise it in the graph",
            id="weight-in-int8",
        ),
    ],
)
def test_unpaired_quantizers_finds(find: Find, nodes: str, problem: str) -> None:
    assert find(unpaired_quantizers, GRAPH % nodes) == [problem]


def test_unpaired_quantizers_allows_pairs(find: Find) -> None:
    assert find(unpaired_quantizers, GRAPH % (pair("x", "a") + "y = Relu(a)")) == []


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        pytest.param(
            "[d] f = DequantizeLinear(i32, s, z32) y = Relu(f)",
            "DequantizeLinear `d` is INT32, a bias; TensorRT cannot read it: keep it in float",
            id="int32",
        ),
        pytest.param(
            pair("b", "f") + "[c] y = Conv(x, w, f)",
            "Conv `c` has a quantised bias from DequantizeLinear `d_f`; keep it in float",
            id="int8",
        ),
        pytest.param(
            pair("ones", "f") + "[a] y = Add(x, f)",
            "Add `a` has a quantised bias from DequantizeLinear `d_f`; keep it in float",
            id="add",
        ),
    ],
)
def test_quantized_biases_finds(find: Find, nodes: str, problem: str) -> None:
    assert find(quantized_biases, GRAPH % nodes) == [problem]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(pair("w", "f") + "y = Conv(x, f, b)", id="float-bias"),
        pytest.param(pair("skip", "f") + "y = Add(x, f)", id="residual"),
    ],
)
def test_quantized_biases_allows(find: Find, nodes: str) -> None:
    assert find(quantized_biases, GRAPH % nodes) == []


@pytest.mark.parametrize(
    ("node", "index"),
    [
        ("Softmax(a)", 0),
        ("Tanh(a)", 0),
        ("LayerNormalization(a, ones)", 0),
        ("LayerNormalization(x, a)", 1),
        ("GridSample(a, grid)", 0),
    ],
)
def test_quantized_inputs_finds(find: Find, node: str, index: int) -> None:
    nodes = pair("x", "a") + f"[n] y = {node}"

    assert find(quantized_inputs, GRAPH % nodes) == [
        (
            f"{node.partition('(')[0]} `n` reads DequantizeLinear `d_a` as input {index}; "
            "give it the tensor from before the Q/DQ pair"
        )
    ]


@pytest.mark.parametrize("op_type", ["Gather", "GatherElements", "GatherND"])
def test_quantized_inputs_finds_indices(find: Find, op_type: str) -> None:
    nodes = pair("ones", "a") + f"k = Cast<to = 7>(a) [n] y = {op_type}(x, k)"

    (problem,) = find(quantized_inputs, GRAPH % nodes)

    assert problem.startswith(f"{op_type} `n` reads DequantizeLinear `d_a` as input 1")


def test_quantized_inputs_finds_pair_that_convolution_shares(find: Find) -> None:
    nodes = (
        pair("x", "a") + "c = Conv(a, w) m = Transpose(a) [n] t = GridSample(m, grid) y = Add(c, t)"
    )

    (problem,) = find(quantized_inputs, GRAPH % nodes)

    assert problem.startswith("GridSample `n` reads DequantizeLinear `d_a` as input 0")


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(pair("x", "a") + "c = Conv(a, w) y = GridSample(x, grid)", id="on-the-edge"),
        pytest.param("n = Softmax(x) " + pair("n", "a") + "y = MatMul(a, a)", id="behind-softmax"),
        pytest.param(pair("x", "a") + "y = Relu(a)", id="relu"),
    ],
)
def test_quantized_inputs_allows(find: Find, nodes: str) -> None:
    assert find(quantized_inputs, GRAPH % nodes) == []


@pytest.mark.parametrize(
    "arithmetic",
    [
        pytest.param("g2 = Identity(a)", id="straight"),
        pytest.param("g1 = Add(a, a) g2 = Mul(g1, s)", id="arithmetic"),
        pytest.param(
            "g1 = Transpose<perm = [0, 2, 1, 3]>(a) g2 = Concat<axis = 3>(g1)", id="moved"
        ),
    ],
)
def test_quantized_coordinates_finds_grid(find: Find, arithmetic: str) -> None:
    nodes = pair("grid", "a") + f"{arithmetic} [n] y = GridSample(x, g2)"

    assert find(quantized_coordinates, GRAPH % nodes) == [
        (
            "DequantizeLinear `d_a` quantises coordinates of the grid of GridSample `n`; "
            "keep them in float"
        )
    ]


LANDMARKS = """
g (float[1, 4] x, float[4, 4] w) => (landmarks)
<float s = {0.1}, int8 z = {0}, float[1, 4] mean = {1, 2, 3, 4},
 int64[3] shape = {1, 2, 2}>
{ %s flat = Add(b, mean) landmarks = Reshape(flat, shape) }
"""


def test_quantized_coordinates_finds_output(find: Find) -> None:
    nodes = "a = MatMul(x, w) " + pair("a", "b")

    assert find(quantized_coordinates, LANDMARKS % nodes) == [
        "DequantizeLinear `d_b` quantises coordinates of output `landmarks`; keep them in float"
    ]


def test_quantized_coordinates_allows_pairs_before_last_product(find: Find) -> None:
    nodes = pair("x", "a") + "b = MatMul(a, w)"

    assert find(quantized_coordinates, LANDMARKS % nodes) == []


def test_quantized_coordinates_allows_output_that_is_a_map(find: Find) -> None:
    assert find(quantized_coordinates, GRAPH % (pair("x", "a") + "y = Add(a, skip)")) == []


@pytest.mark.parametrize(
    ("node", "op_type"),
    [
        ("Relu(a)", "Relu"),
        ("Clip(a)", "Clip"),
        ("BatchNormalization(a, b, b, b, b)", "BatchNormalization"),
    ],
)
def test_quantizers_behind_convolution_finds(find: Find, node: str, op_type: str) -> None:
    nodes = "[c] r = Conv(x, w) " + pair("r", "a") + f"[n] y = {node}"

    assert find(quantizers_behind_convolution, GRAPH % nodes) == [
        (
            f"DequantizeLinear `d_a` stands between Conv `c` and {op_type} `n`; "
            f"quantise what {op_type} gives instead"
        )
    ]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param("c = Conv(x, w) r = Relu(c) " + pair("r", "y"), id="behind-relu"),
        pytest.param("c = Conv(x, w) " + pair("c", "a") + "y = Conv(a, w)", id="to-next-conv"),
        pytest.param(pair("x", "a") + "y = Relu(a)", id="no-conv"),
    ],
)
def test_quantizers_behind_convolution_allows(find: Find, nodes: str) -> None:
    assert find(quantizers_behind_convolution, GRAPH % nodes) == []


def test_quantized_sums_warns_of_both_sides(find: Find) -> None:
    nodes = "c = Conv(x, w) " + pair("c", "a") + pair("skip", "t") + "[n] y = Add(a, t)"

    assert find(quantized_sums, GRAPH % nodes) == [
        (
            "Add `n` has Q/DQ on both sides; take DequantizeLinear `d_a` off, so that the sum is "
            "fused into the convolution"
        )
    ]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param("c = Conv(x, w) " + pair("skip", "t") + "y = Add(c, t)", id="skip-alone"),
        pytest.param(pair("x", "a") + pair("skip", "t") + "y = Add(a, t)", id="no-convolution"),
    ],
)
def test_quantized_sums_is_silent(find: Find, nodes: str) -> None:
    assert find(quantized_sums, GRAPH % nodes) == []


@pytest.mark.parametrize(
    ("nodes", "which"),
    [
        pytest.param(pair("x", "a") + "[n] y = Conv(a, w)", "weight", id="weight"),
        pytest.param(pair("w", "a") + "[n] y = Conv(x, a)", "input", id="input"),
    ],
)
def test_half_quantized_products_warns(find: Find, nodes: str, which: str) -> None:
    assert find(half_quantized_products, GRAPH % nodes) == [
        f"Conv `n` has one {which} in float beside a quantised one; quantise both"
    ]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param(pair("x", "a") + pair("w", "f") + "y = Conv(a, f)", id="both"),
        pytest.param("y = Conv(x, w)", id="none"),
    ],
)
def test_half_quantized_products_is_silent(find: Find, nodes: str) -> None:
    assert find(half_quantized_products, GRAPH % nodes) == []
