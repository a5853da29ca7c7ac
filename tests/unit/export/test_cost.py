"""Multiply-accumulates are counted as papers count them."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir
import pytest

from facealign.export.cost import macs_by_node, macs_by_operator

GRAPHS = {
    "Conv": """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[B, 4, 10, 10] x, float[6, 2, 3, 3] w) => (float[B, 6, 5, 5] y) {
            y = Conv <group = 2, strides = [2, 2], pads = [1, 1, 1, 1]> (x, w)
        }""",
    "ConvTranspose": """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[B, 4, 5, 5] x, float[4, 3, 2, 2] w) => (float[B, 3, 10, 10] y) {
            y = ConvTranspose <strides = [2, 2]> (x, w)
        }""",
    "Gemm": """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[B, 7] x, float[5, 7] w) => (float[B, 5] y) {
            y = Gemm <transB = 1> (x, w)
        }""",
    "Gemm of columns": """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[7, B] x, float[7, 5] w) => (float[B, 5] y) {
            y = Gemm <transA = 1> (x, w)
        }""",
    "MatMul": """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[B, 8, 3, 7] x, float[7, 5] w) => (float[B, 8, 3, 5] y) {
            y = MatMul (x, w)
        }""",
}


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("Conv", 6 * 5 * 5 * 2 * 3 * 3),
        ("ConvTranspose", 4 * 5 * 5 * 3 * 2 * 2),
        ("Gemm", 7 * 5),
        ("Gemm of columns", 7 * 5),
        ("MatMul", 8 * 3 * 7 * 5),
    ],
)
@pytest.mark.parametrize("batch", [1, 3], ids=["one crop", "three crops"])
def test_macs_by_operator_counts_products_per_crop(name: str, macs: int, batch: int) -> None:
    model = ir.from_proto(onnx.parser.parse_model(GRAPHS[name]))

    found = macs_by_operator(model, batch=batch)

    assert found == {name.partition(" ")[0]: batch * macs}


def test_macs_by_operator_leaves_out_what_papers_leave_out() -> None:
    text = """
        <ir_version: 9, opset_import: ["" : 19]>
        agraph (float[B, 4] x) => (float[B, 4] y) { z = Relu(x)  y = Add(z, x) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))

    found = macs_by_operator(model)

    assert found == {}


def test_macs_by_node_names_each_first_output() -> None:
    text = """
    <ir_version: 9, opset_import: ["": 19]>
    g (float[B, 4] x, float[4, 5] a, float[5, 6] b) => (float[B, 6] z)
    { y = MatMul(x, a)
      r = Relu(y)
      z = MatMul(r, b) }
    """
    model = ir.from_proto(onnx.parser.parse_model(text))

    assert macs_by_node(model, batch=2) == {"y": 2 * 4 * 5, "r": 0, "z": 2 * 5 * 6}
