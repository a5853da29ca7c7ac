from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.passes.precision.products import LEAST_LAYER_TERMS, is_layer

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
