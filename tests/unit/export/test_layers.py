from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.layers import LEAST_LAYER_TERMS, is_grouped, is_layer, learned_product

Parse = Callable[[str], ir.Model]


def product_of(model: ir.Model) -> ir.Node:
    return model.graph[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (float[B, 1, 4, 4] x) => (float y) <float[2, 1, 3, 3] w> { y = Conv(x, w) }",
            id="conv",
        ),
        pytest.param(
            """g (float[B, 2, 4, 4] x) => (float y) <float[2, 1, 2, 2] w>
            { y = ConvTranspose(x, w) }""",
            id="conv-transpose",
        ),
        pytest.param(
            "g (float[B, 8] x) => (float y) <float[8, 2] w> { y = MatMul(x, w) }", id="matmul"
        ),
        pytest.param(
            "g (float[B, 8] x) => (float y) <float[2, 8] w> { y = Gemm<transB = 1>(x, w) }",
            id="gemm",
        ),
        pytest.param(
            "g (float[8, B] x) => (float y) <float[8, 2] w> { y = Gemm<transA = 1>(x, w) }",
            id="gemm-of-columns",
        ),
        pytest.param(
            "g (float[B, 4, 29] x, float[B, 29, 2] w) => (float y) { y = MatMul(x, w) }",
            id="of-two-activations",
        ),
        pytest.param(
            "g (float[B, 8] x) => (float y) <float[8] w> { y = MatMul(x, w) }", id="by-a-vector"
        ),
        pytest.param("g (float x, float w) => (float y) { y = MatMul(x, w) }", id="no-shapes"),
    ],
)
def test_is_layer_takes_products_of_many_terms(filled: Parse, text: str) -> None:
    assert is_layer(product_of(filled(text)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (float[B, 7] x) => (float y) <float[7, 2] w> { y = MatMul(x, w) }", id="few-terms"
        ),
        pytest.param(
            "g (float[B, 4, 2] x, float[B, 2, 4] w) => (float y) { y = MatMul(x, w) }",
            id="few-terms-of-activations",
        ),
        pytest.param(
            """g (float[B, 8] x) => (float y)
            <float[8, 1] w = {0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.125}>
            { y = MatMul(x, w) }""",
            id="mean",
        ),
        pytest.param("g (float[B, 8] x) => (float y) { y = Relu(x) }", id="no-product"),
    ],
)
def test_is_layer_leaves_geometry_and_sums(filled: Parse, text: str) -> None:
    assert not is_layer(product_of(filled(text)))


def test_least_layer_is_wider_than_a_pose() -> None:
    assert LEAST_LAYER_TERMS > 6


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        pytest.param(
            "g (float[B, 2, 4, 4] x) => (float y) <float[6, 2, 3, 3] w> { y = Conv(x, w) }",
            (0, 1, 0, 18),
            id="conv",
        ),
        pytest.param(
            """g (float[B, 4, 4, 4] x) => (float y) <float[4, 3, 2, 2] w>
            { y = ConvTranspose<group = 2>(x, w) }""",
            (0, 1, 1, 8),
            id="grouped-conv-transpose",
        ),
        pytest.param(
            "g (float[B, 5] x) => (float y) <float[5, 2] w> { y = MatMul(x, w) }",
            (0, 1, 1, 5),
            id="matmul",
        ),
        pytest.param(
            "g (float[B, 9, 2] x) => (float y) <float[3, 9] w> { y = MatMul(w, x) }",
            (1, 0, 0, 9),
            id="matmul-from-left",
        ),
        pytest.param(
            "g (float[B, 9] x) => (float y) <float[2, 9] w> { y = Gemm<transB = 1>(x, w) }",
            (0, 1, 0, 9),
            id="gemm-of-rows",
        ),
        pytest.param(
            "g (float[9, B] x) => (float y) <float[9, 4] w> { y = Gemm<transA = 1>(w, x) }",
            (1, 0, 1, 9),
            id="gemm-from-left-of-columns",
        ),
    ],
)
def test_learned_product_knows_activation_weight_axis_and_terms(
    filled: Parse, text: str, claim: tuple[int, int, int, int]
) -> None:
    product = learned_product(product_of(filled(text)))

    assert product is not None
    assert (product.activation_index, product.weight_index, product.axis, product.terms) == claim
    assert (str(product.activation.name), str(product.weight.name)) == ("x", "w")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (float[B, 4, 29] x, float[B, 29, 2] w) => (float y) { y = MatMul(x, w) }",
            id="two-activations",
        ),
        pytest.param(
            "g () => (float y) <float[2, 9] x, float[9, 2] w> { y = MatMul(x, w) }",
            id="two-constants",
        ),
        pytest.param(
            "g (float[B, 9] x) => (float y) <float[9] w> { y = MatMul(x, w) }", id="vector"
        ),
        pytest.param(
            "g (float[6, 2, 3, 3] w) => (float y) <float[1, 2, 4, 4] x> { y = Conv(x, w) }",
            id="conv-with-a-computed-weight",
        ),
        pytest.param("g (float[B, 8] x) => (float y) { y = Relu(x) }", id="no-product"),
    ],
)
def test_learned_product_finds_none(filled: Parse, text: str) -> None:
    assert learned_product(product_of(filled(text))) is None


@pytest.mark.parametrize(("group", "expected"), [(1, False), (2, True)])
def test_is_grouped_tells_group_convolutions(filled: Parse, group: int, expected: bool) -> None:
    model = filled(
        f"""g (float[B, 4, 4, 4] x) => (float y) <float[4, {4 // group}, 1, 1] w>
        {{ y = Conv<group = {group}>(x, w) }}"""
    )

    assert is_grouped(product_of(model)) is expected


def test_is_layer_leaves_transposed_convolution_of_one_channel_each(filled: Parse) -> None:
    model = filled(
        """g (float[B, 8, 4, 4] x) => (float y) <float[8, 1, 2, 2] w>
        { y = ConvTranspose<group = 8>(x, w) }"""
    )

    assert not is_layer(product_of(model))
