"""Bytes are those that a node cannot do without."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir
import pytest

from facealign.errors import GraphContractError
from facealign.export.traffic import GraphWork, graph_work

HEADER = '<ir_version: 9, opset_import: ["" : 19]>\n'
CONV = """
agraph (float[B, 4, 10, 10] x, float[6, 2, 3, 3] w, float[6] b) => (float[B, 6, 5, 5] y) {
    y = Conv <group = 2, strides = [2, 2], pads = [1, 1, 1, 1]> (x, w, b)
}"""
GEMM = """
agraph (float16[B, 7] x) => (float16[B, 5] y)
<float16[5, 7] w = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
 0, 0, 0, 0, 0, 0, 0, 0}> { y = Gemm <transB = 1> (x, w) }"""
SLICE = """
agraph (float[B, 100] x) => (float[B, 10] y)
<int64[1] start = {0}, int64[1] stop = {10}, int64[1] axis = {1}>
{ y = Slice(x, start, stop, axis) }"""
GATHER = """
agraph (float[B, 100, 4] x) => (float[B, 2, 4] y) <int64[2] rows = {3, 5}>
{ y = Gather <axis = 1> (x, rows) }"""
GATHER_POINTS = """
agraph (float[B, 10, 4] x) => (float[2] y) <int64[2, 3] places = {0, 3, 1, 0, 5, 2}>
{ y = GatherND (x, places) }"""
GATHER_ELEMENTS = """
agraph (float[B, 100] x, int64[B, 3] places) => (float[B, 3] y)
{ y = GatherElements <axis = 1> (x, places) }"""
DECONV = """
agraph (float[B, 4, 5, 5] x, float[4, 3, 3, 3] w) => (float[B, 6, 11, 11] y)
{ y = ConvTranspose <group = 2, strides = [2, 2]> (x, w) }"""
SQUARE = "agraph (float[B, 5] x) => (float[B, 5] y) { y = Mul (x, x) }"
SAMPLE = """
agraph (float[B, 2, 64, 64] x, float[B, 3, 3, 2] grid) => (float[B, 2, 3, 3] y)
{ y = GridSample (x, grid) }"""
CAST = "agraph (uint8[B, 5] x) => (float[B, 5] y) { y = Cast <to = 1> (x) }"
SOFTMAX = "agraph (float[B, 5, 5] x) => (float[B, 5, 5] y) { y = Softmax (x) }"
QUANTIZED = """
agraph (float[B, 8] x) => (float[B, 2] y)
<float s = {0.1}, int8 z = {0}, int8[8, 2] w = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}>
{ q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  v = DequantizeLinear(w, s, z)
  y = MatMul(d, v) }"""


@pytest.mark.parametrize("batch", [1, 3], ids=["one crop", "three crops"])
@pytest.mark.parametrize(
    ("text", "of_crop", "once"),
    [
        pytest.param(CONV, 4 * (400 + 150), 4 * (108 + 6), id="Conv"),
        pytest.param(GEMM, 2 * (7 + 5), 2 * 35, id="Gemm in FP16"),
        pytest.param(SLICE, 4 * (10 + 10), 8 * 3, id="Slice"),
        pytest.param(GATHER, 4 * (8 + 8), 8 * 2, id="Gather"),
        pytest.param(GATHER_ELEMENTS, 4 * (3 + 3) + 8 * 3, 0, id="GatherElements"),
        pytest.param(GATHER_POINTS, 0, 4 * (2 + 2) + 8 * 6, id="GatherND"),
        pytest.param(DECONV, 4 * (100 + 726), 4 * 108, id="ConvTranspose"),
        pytest.param(SQUARE, 4 * (5 + 5), 0, id="one tensor twice"),
        pytest.param(SAMPLE, 4 * (4 * 18 + 18 + 18), 0, id="GridSample"),
        pytest.param(CAST, 5 + 20, 0, id="Cast"),
        pytest.param(SOFTMAX, 4 * (25 + 25), 0, id="Softmax"),
    ],
)
def test_graph_work_counts_bytes_by_hand(text: str, of_crop: int, once: int, batch: int) -> None:
    work = _work(text, batch=batch)

    assert work.nodes["y"].bytes == batch * of_crop + once


def test_graph_work_reads_a_sampled_map_no_more_than_once() -> None:
    text = """
    agraph (float[B, 2, 3, 3] x, float[B, 8, 8, 2] grid) => (float[B, 2, 8, 8] y)
    { y = GridSample (x, grid) }"""

    work = _work(text)

    assert work.nodes["y"].reads["x"] == 4 * 2 * 9


@pytest.mark.parametrize(
    ("view", "shape"),
    [
        ("Reshape(a, rows)", "[B, 2, 3]"),
        ("Identity(a)", "[B, 6, 1]"),
        ("Flatten(a)", "[B, 6]"),
        ("Dropout(a)", "[B, 6, 1]"),
        ("Unsqueeze(a, last)", "[B, 6, 1, 1]"),
        ("Squeeze(a, last)", "[B, 6]"),
    ],
)
def test_graph_work_counts_views_as_nothing_and_reads_what_is_behind_them(
    view: str, shape: str
) -> None:
    text = f"""
    agraph (float[B, 6, 1] x) => (float{shape} z)
    <int64[3] rows = {{-1, 2, 3}}, int64[1] last = {{-1}}>
    {{ a = Relu(x)  v = {view}  z = Neg(v) }}"""

    work = _work(text)

    assert work.nodes["v"].bytes == 0
    assert work.nodes["z"].reads == {"a": 24}


def test_graph_work_of_a_shape_reads_nothing() -> None:
    work = _work("agraph (float[B, 100] x) => (int64[2] y) { y = Shape(x) }")

    assert (work.nodes["y"].reads, work.nodes["y"].writes) == ({}, {"y": 16})


def test_graph_work_reads_the_largest_part_of_what_is_read_twice() -> None:
    text = """
    agraph (float[B, 100] x) => (float[B, 10] y, float[B, 30] z)
    <int64[1] start = {0}, int64[1] ten = {10}, int64[1] thirty = {30}, int64[1] axis = {1}>
    { z = Slice(x, start, thirty, axis)  y = Slice(x, start, ten, axis) }"""

    work = _work(text)

    assert work.merged_bytes(["z", "y"]) == 4 * (30 + 30 + 10) + 8 * 4


def test_graph_work_does_not_fold_what_a_caller_may_replace() -> None:
    text = "agraph (float[2] x = {1, 2}) => (float[2] y) { y = Neg(x) }"

    assert _work(text).nodes["y"].reads == {"x": 8}


def test_graph_work_reads_integers_where_a_product_is_fed_by_dequantize_linear() -> None:
    product = _work(QUANTIZED, batch=2).nodes["y"]

    assert product.kind == "int8"
    assert product.reads == {"q": 2 * 8, "w": 16}
    assert product.bytes == 2 * 8 + 16 + 4 * 2 * 2
    assert product.macs == 2 * 8 * 2


def test_graph_work_leaves_pairs_in_front_of_products_nothing_but_their_rounding() -> None:
    nodes = _work(QUANTIZED).nodes

    assert nodes["d"].bytes == 0
    assert nodes["q"].bytes == 4 * 8 + 8 + 4 + 1  # x, q, scale, zero point
    assert "v" not in nodes  # of constants


def test_graph_work_counts_a_dequantize_linear_that_others_read_too() -> None:
    text = QUANTIZED.replace("=> (float[B, 2] y)", "=> (float[B, 2] y, float[B, 8] r)").replace(
        "y = MatMul(d, v)", "y = MatMul(d, v)  r = Relu(d)"
    )

    work = _work(text)

    assert work.nodes["d"].bytes == 8 + 4 * 8 + 4 + 1
    assert work.nodes["r"].reads == {"d": 32}


def test_graph_work_counts_a_dequantize_linear_that_is_given_out() -> None:
    text = QUANTIZED.replace("=> (float[B, 2] y)", "=> (float[B, 2] y, float[B, 8] d)")

    assert _work(text).nodes["d"].bytes == 8 + 4 * 8 + 4 + 1


@pytest.mark.parametrize(
    ("operator", "left", "right", "shape"),
    [
        ("Gemm", "[B, 4]", "[4, 2]", "[B, 2]"),
        ("ConvTranspose", "[B, 4, 2, 2]", "[4, 2, 1, 1]", "[B, 2, 2, 2]"),
        ("Conv", "[B, 4, 2, 2]", "[2, 4, 1, 1]", "[B, 2, 2, 2]"),
    ],
)
def test_graph_work_takes_every_product_of_integers_for_int8(
    operator: str, left: str, right: str, shape: str
) -> None:
    text = f"""
    agraph (int8{left} x, int8{right} w) => (float{shape} y) <float s = {{0.1}}, int8 z = {{0}}>
    {{ d = DequantizeLinear(x, s, z)  v = DequantizeLinear(w, s, z)  y = {operator}(d, v) }}"""

    product = _work(text).nodes["y"]

    assert product.kind == "int8"
    assert set(product.reads) == {"x", "w"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [(CONV, "fp32"), (GEMM, "fp16"), (QUANTIZED, "int8")],
    ids=["fp32", "fp16", "int8"],
)
def test_graph_work_tells_the_type_of_a_product(text: str, kind: str) -> None:
    assert _work(text).nodes["y"].kind == kind


CHAIN = """
agraph (float[B, 4] x, float[B, 4] s) => (float[B, 4] y, float[B, 4] r)
{ a = Neg(x)  r = Add(a, s)  c = Relu(r)  y = Exp(c) }"""


@pytest.mark.parametrize(
    ("keys", "tensors"),
    [
        pytest.param(["a"], 2, id="one node"),
        pytest.param(["a", "r"], 3, id="x and s to r"),
        pytest.param(["c", "y"], 2, id="r to y"),
        pytest.param(["r", "c"], 4, id="r is an output and c is read later"),
        pytest.param(["a", "r", "c", "y"], 4, id="all"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_merged_bytes_leaves_out_what_lies_between(keys: list[str], tensors: int) -> None:
    assert _work(CHAIN).merged_bytes(keys) == 16 * tensors


def test_merged_bytes_of_one_node_are_its_own() -> None:
    work = _work(CHAIN)

    assert {key: work.merged_bytes([key]) for key in work.nodes} == {
        key: node.bytes for key, node in work.nodes.items()
    }


def test_merged_bytes_writes_a_tensor_that_is_given_out_as_a_view() -> None:
    text = """
    agraph (float[B, 6] x) => (float[B, 2, 3] y) <int64[3] shape = {-1, 2, 3}>
    { a = Relu(x)  y = Reshape(a, shape) }"""

    assert _work(text).merged_bytes(["a", "y"]) == 24 + 24


def test_graph_work_says_which_size_cannot_be_told() -> None:
    text = """
    <ir_version: 9, opset_import: ["" : 19, "other" : 1]>
    agraph (float[B, 4] x) => (float[B, 4] y) { a = other.Thing(x)  y = Relu(a) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))

    with pytest.raises(GraphContractError, match=r"the size of `a` at Thing `a` cannot be told"):
        graph_work(model)


def _work(text: str, *, batch: int = 1) -> GraphWork:
    return graph_work(ir.from_proto(onnx.parser.parse_model(HEADER + text)), batch=batch)
