"""What each name of a precision promises: a graph that breaks it, and one that keeps it."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize, tensors_to_observe
from facealign.export.precision_rules import (
    Precision,
    half_coordinates,
    half_grids,
    is_cast,
    precision_problems,
)

Parse = Callable[[str], ir.Model]
FULL, HALF, BRAIN = ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16
DEEP = """
g (uint8[B, 8, 8, 3] image) => (float[B, 5, 2] landmarks)
<float[20, 192] stem, int64[2] flat = {0, -1}, float[20, 20] body, float[20, 20] more,
 float[20, 10] head, int64[3] shape = {-1, 5, 2}, float half = {0.5}>
{
  picture = Cast<to = 1>(image)
  row = Reshape(picture, flat)
  first = Gemm<transB = 1>(row, stem)
  second = MatMul(first, body)
  third = MatMul(second, more)
  last = MatMul(third, head)
  points = Reshape(last, shape)
  landmarks = Mul(points, half)
}
"""
ALL: list[Precision] = ["fp32", "fp16", "int8", "int8-cpu"]


def named(full: ir.Model, precision: Precision) -> ir.Model:
    """Return the graph of that name."""
    ranges = dict.fromkeys(tensors_to_observe(full), 4.0)
    graphs = {
        "fp32": lambda: full,
        "fp16": lambda: half_precision(full),
        "int8": lambda: quantize(full, ranges),
        "int8-cpu": lambda: for_cpu(full, ranges),
    }
    return graphs[precision]()


def node_of(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.outputs[0].name == name)


def put_between(model: ir.Model, user: str, position: int, *operators: ir.Node) -> None:
    """Put nodes of one input each, one behind the other, in front of an input of a node."""
    node = node_of(model, user)
    value = node.inputs[position]
    for operator in operators:
        operator.replace_input_with(0, value)
        operator.outputs[0].name = operator.name
        model.graph.insert_before(node, operator)
        value = operator.outputs[0]
    node.replace_input_with(position, value)


def cast(to: ir.DataType, name: str) -> ir.Node:
    made = ir.Value(name=name, type=ir.TensorType(to))
    return ir.node("Cast", [None], {"to": int(to)}, outputs=[made], name=name)


def pair(dtype: ir.DataType) -> tuple[ir.Node, ir.Node]:
    types = {"QuantizeLinear": dtype, "DequantizeLinear": FULL}
    quantizer, dequantizer = (
        ir.node(
            op_type,
            [None],
            outputs=[ir.Value(name=op_type, type=ir.TensorType(to))],
            name=f"planted_{op_type}",
        )
        for op_type, to in types.items()
    )
    return quantizer, dequantizer


@pytest.mark.parametrize("precision", ALL)
def test_precision_problems_are_none_of_graph_that_is_named_right(
    filled: Parse, precision: Precision
) -> None:
    assert precision_problems(named(filled(DEEP), precision).graph, precision) == []


def test_precision_problems_are_none_of_int8_within_fp16(filled: Parse) -> None:
    typed = half_precision(filled(DEEP))
    model = quantize(typed, dict.fromkeys(tensors_to_observe(typed), 4.0))

    assert precision_problems(model.graph, "int8") == []


@pytest.mark.parametrize(
    ("of", "precision", "problems"),
    [
        pytest.param(
            "fp32",
            "fp16",
            ["nothing is FLOAT16 in a graph that is named fp16; name it fp32"],
            id="fp16-without-fp16",
        ),
        pytest.param(
            "fp32",
            "int8",
            ["Q/DQ are missing in a graph that is named int8; quantise it, or name it fp32"],
            id="int8-without-pairs",
        ),
        pytest.param(
            "fp32",
            "int8-cpu",
            ["Q/DQ are missing in a graph that is named int8-cpu; quantise it, or name it fp32"],
            id="int8-cpu-without-pairs",
        ),
        pytest.param(
            "int8",
            "fp32",
            [
                (
                    "QuantizeLinear `first.quantized` is one of 8 nodes of Q/DQ in a graph that is "
                    "named fp32; name it int8 or int8-cpu"
                )
            ],
            id="fp32-with-pairs",
        ),
        pytest.param(
            "int8-cpu",
            "int8",
            [
                f"QuantizeLinear `{name}.quantized` gives UINT8 in a graph that is named int8; "
                "its activations are INT8"
                for name in ("first", "second")
            ],
            id="int8-for-another-engine",
        ),
    ],
)
def test_precision_problems_finds_graph_of_another_name(
    filled: Parse, of: Precision, precision: Precision, problems: list[str]
) -> None:
    assert precision_problems(named(filled(DEEP), of).graph, precision) == problems


@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
def test_precision_problems_finds_fp16_where_the_name_has_none(
    filled: Parse, precision: Precision
) -> None:
    model = named(filled(DEEP), precision)
    put_between(model, "last", 0, cast(HALF, "down"), cast(FULL, "up"))

    assert precision_problems(model.graph, precision) == [
        f"Cast `down` goes to FLOAT16 in a graph that is named {precision}"
    ]


def test_precision_problems_finds_fp16_weights_in_fp32(filled: Parse) -> None:
    found = precision_problems(half_precision(filled(DEEP)).graph, "fp32")

    assert "initializer `body.fp16` is FLOAT16 in a graph that is named fp32" in found


@pytest.mark.parametrize("precision", ALL)
def test_precision_problems_finds_bfloat16_in_every_graph(
    filled: Parse, precision: Precision
) -> None:
    model = named(filled(DEEP), precision)
    put_between(model, "last", 0, cast(BRAIN, "down"), cast(FULL, "up"))

    assert precision_problems(model.graph, precision) == [
        f"Cast `down` goes to BFLOAT16 in a graph that is named {precision}"
    ]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_precision_problems_finds_landmarks_in_fp16(filled: Parse, precision: Precision) -> None:
    model = named(filled(DEEP), precision)
    put_between(model, "landmarks", 0, cast(HALF, "down"), cast(FULL, "up"))

    assert precision_problems(model.graph, precision) == [
        "Cast `down` gives coordinates in FLOAT16; they stay in FP32"
    ]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_precision_problems_finds_picture_normalised_in_fp16(
    network: ir.Model, precision: Precision
) -> None:
    model = named(network, precision)
    made = ir.Value(name="negative", type=ir.TensorType(HALF))
    negative = ir.node("Neg", [None], outputs=[made], name="negative")
    put_between(model, "centred", 0, cast(HALF, "down"), negative, cast(FULL, "up"))

    found = precision_problems(model.graph, precision)

    assert "Neg `negative` normalises the picture in FLOAT16; it does so in FLOAT" in found


@pytest.mark.parametrize("precision", ALL)
def test_precision_problems_finds_fp16_grid_once(network: ir.Model, precision: Precision) -> None:
    model = named(network, precision)
    put_between(model, "second", 1, cast(HALF, "down"))

    found = precision_problems(model.graph, precision)

    assert [each for each in found if "second" in each or "down" in each] == [
        "GridSample `second` has a FLOAT16 grid; coordinates stay in FP32"
    ]


@pytest.mark.parametrize(
    ("precision", "dtype"), [("int8", ir.DataType.INT8), ("int8-cpu", ir.DataType.UINT8)]
)
def test_precision_problems_finds_pair_on_coordinates(
    filled: Parse, precision: Precision, dtype: ir.DataType
) -> None:
    model = named(filled(DEEP), precision)
    put_between(model, "landmarks", 0, *pair(dtype))

    assert precision_problems(model.graph, precision) == [
        "QuantizeLinear `planted_QuantizeLinear` quantises coordinates; they stay in FP32",
        "DequantizeLinear `planted_DequantizeLinear` quantises coordinates; they stay in FP32",
    ]


def test_precision_problems_finds_dynamic_quantisation_in_fp32(model_from_text: Parse) -> None:
    model = model_from_text(
        "g (float[2] x) => (uint8[2] y) { [q] y, s, z = DynamicQuantizeLinear(x) }"
    )

    assert precision_problems(model.graph, "fp32") == [
        (
            "DynamicQuantizeLinear `q` is one of 1 nodes of Q/DQ in a graph that is named fp32; "
            "name it int8 or int8-cpu"
        )
    ]


def test_half_grids_allows_those_it_is_told(network: ir.Model) -> None:
    put_between(network, "second", 1, cast(HALF, "down"))
    grid = node_of(network, "second").inputs[1]
    assert grid is not None

    assert len(list(half_grids(network.graph))) == 1
    assert list(half_grids(network.graph, allowed=[grid])) == []


def test_half_coordinates_allows_cast_for_the_next_layer(network: ir.Model) -> None:
    put_between(network, "encoded", 0, cast(HALF, "down"))

    assert list(half_coordinates(network.graph)) == []


@pytest.mark.parametrize(
    ("to", "expected"), [pytest.param(HALF, True, id="half"), pytest.param(BRAIN, False, id="bf16")]
)
def test_is_cast_asks_for_the_type(to: ir.DataType, expected: bool) -> None:
    assert is_cast(cast(to, "down"), HALF) is expected


def test_is_cast_is_false_of_nothing() -> None:
    assert not is_cast(None, HALF)
