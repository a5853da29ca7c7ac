"""Every node is in one kernel of ONNX Runtime, the one that computes it."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir
import pytest

from facealign.export.kernels import Kernel, kernels_of, named_graph
from facealign.export.traffic import graph_work

HEADER = (
    '<ir_version: 9, opset_import: ["" : 19, "com.microsoft" : 1, "com.microsoft.nchwc" : 1]>\n'
)
RESIDUAL = """
agraph (float[B, 4, 8, 8] x, float[4, 4, 1, 1] w) => (float[B, 4, 8, 8] y) {
    c = Conv(x, w)
    a = Relu(c)
    d = Conv(a, w)
    s = Add(d, a)
    r = Relu(s)
    e = Conv(r, w)
    y = Relu(e)
}"""
ATTENTION = """
agraph (float[B, 4, 4] x, float[4, 4] w) => (float[B, 4, 4] y) {
    t = Transpose <perm = [0, 2, 1]> (x)
    m = MatMul(t, w)
    v = Mul(m, m)
    n = Sqrt(v)
    o = Mul(n, m)
    y = Softmax(o)
}"""
QUANTIZED = """
agraph (float[B, 4, 8, 8] x) => (float[B, 4, 8, 8] y)
<float s = {0.1}, uint8 z = {0}, int8 k = {0}, int8[4, 4, 1, 1] w
 = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}> {
    q = QuantizeLinear(x, s, z)
    p = DequantizeLinear(q, s, z)
    v = DequantizeLinear(w, s, k)
    c = Conv(p, v)
    a = Relu(c)
    r = QuantizeLinear(a, s, z)
    y = DequantizeLinear(r, s, z)
}"""
VIEWED = """
agraph (float[B, 6] x) => (uint8[B, 2, 3] y)
<float s = {0.1}, uint8 z = {0}, int64[3] shape = {-1, 2, 3}> {
    a = Exp(x)  v = Reshape(a, shape)  y = QuantizeLinear(v, s, z) }"""


@pytest.mark.parametrize(
    ("text", "kernels", "held"),
    [
        pytest.param(
            RESIDUAL,
            "Conv x w -> a | Conv a w -> r | FusedConv r w -> y",
            ["c a", "d s r", "e y"],
            id="named as they are",
        ),
        pytest.param(
            RESIDUAL,
            "Conv@a_nchwc x w -> reorder_token_1 | ReorderOutput reorder_token_1 -> a"
            " | Conv@d_nchwc a w -> reorder_token_2 | Conv@y_nchwc reorder_token_2 w -> t3"
            " | ReorderOutput t3 -> y",
            ["c a", "", "d s r", "e y", ""],
            id="blocked layout",
        ),
        pytest.param(
            RESIDUAL,
            "Cast@InsertedPrecisionFreeCast_x x -> f"
            " | Conv@InsertedPrecisionFreeCast_a_nchwc f w -> t1"
            " | Cast t1 -> a | Conv@d_nchwc_token_7 a w -> t2 | Conv@e_nchwc t2 w -> y",
            ["", "c a", "", "d s r", "e y"],
            id="casts around",
        ),
        pytest.param(
            ATTENTION,
            "FusedMatMul x w -> m | Gelu m -> o | Softmax o -> y",
            ["t m", "v n o", "y"],
            id="a fusion of many",
        ),
        pytest.param(
            ATTENTION,
            "Transpose x -> t | MatMul t w -> m | Mul m m -> v | Sqrt v -> n | Mul n m -> o"
            " | Exp o -> e | Div@y_token_3 e e -> y",
            ["t", "m", "v", "n", "o", "", "y"],
            id="taken apart",
        ),
        pytest.param(
            QUANTIZED,
            "QuantizeLinear x -> q | QLinearConv q w -> r | DequantizeLinear r -> y",
            ["q", "p c a r", "y"],
            id="integers",
        ),
        pytest.param(
            QUANTIZED,
            "QuantizeLinear x -> q | DequantizeLinear@p/duplicated q -> p2"
            " | FusedConv@c p2 w -> a | QuantizeLinear a -> r | DequantizeLinear r -> y",
            ["q", "p", "c a", "r", "y"],
            id="integers without a kernel",
        ),
        pytest.param(
            VIEWED,
            "Exp x -> a | QuantizeLinear@a_q a -> t | Reshape@v t -> y",
            ["a", "y", "v"],
            id="moved before a Reshape",
        ),
    ],
)
def test_kernels_of_finds_what_each_holds(text: str, kernels: str, held: list[str]) -> None:
    work = graph_work(named_graph(_model(text)))

    found = kernels_of(work, _optimised(kernels))

    assert [_held(kernel, list(work.nodes)) for kernel in found] == held
    assert sorted(key for kernel in found for key in kernel.keys) == sorted(work.nodes)


def test_kernels_of_keeps_names_and_operators() -> None:
    work = graph_work(named_graph(_model(RESIDUAL)))

    found = kernels_of(work, _optimised("FusedConv@y_nchwc x w -> y"))

    assert [(kernel.name, kernel.operator) for kernel in found] == [("y_nchwc", "FusedConv")]


def test_kernels_of_nothing_are_none() -> None:
    work = graph_work(named_graph(_model(RESIDUAL)))

    assert (
        kernels_of(work, ir.Model(ir.Graph((), (), nodes=(), opset_imports={}), ir_version=9)) == ()
    )


def test_named_graph_names_nodes_by_what_they_give() -> None:
    named = named_graph(_model(RESIDUAL))

    assert [node.name for node in named.graph] == ["c", "a", "d", "s", "r", "e", "y"]


def test_named_graph_puts_functions_in_line() -> None:
    text = """
    <ir_version: 9, opset_import: ["" : 19, "ours" : 1]>
    agraph (float[B, 4] x) => (float[B, 4] y) { y = ours.Twice(x) }
    <opset_import: ["" : 19], domain: "ours"> Twice (a) => (b) { b = Add(a, a) }"""

    named = named_graph(ir.from_proto(onnx.parser.parse_model(text)))

    assert [node.op_type for node in named.graph] == ["Add"]
    assert not named.functions


def _model(text: str) -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(HEADER + text))


def _optimised(lines: str) -> ir.Model:
    """Return a graph of kernels, each ``Operator@name inputs -> output``; names may be left out."""
    values: dict[str, ir.Value] = {}
    nodes = []
    for line in lines.split(" | "):
        left, output = line.split(" -> ")
        kernel, *words = left.split()
        operator, _, name = kernel.partition("@")
        inputs = [values.setdefault(word, ir.Value(name=word)) for word in words]
        values[output] = ir.Value(name=output)
        nodes.append(ir.Node("", operator, inputs, outputs=[values[output]], name=name or output))
    return ir.Model(ir.Graph((), (), nodes=nodes, opset_imports={"": 19}), ir_version=9)


def _held(kernel: Kernel, order: list[str]) -> str:
    return " ".join(sorted(kernel.keys, key=order.index))
