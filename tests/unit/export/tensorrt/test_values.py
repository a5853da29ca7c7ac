"""Where values come from, as the rules ask it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.tensorrt.values import (
    behind,
    constant_array,
    dequantizer,
    is_constant,
    is_external,
    is_weight,
    opset_of,
)

Parse = Callable[[str], ir.Model]


@pytest.mark.parametrize(
    ("imports", "opset"), [({"": 19}, 19), ({"ai.onnx": 20}, 20), ({"": 19, "ai.onnx": 20}, 20)]
)
def test_opset_of_takes_both_spellings(imports: dict[str, int], opset: int) -> None:
    graph = ir.Graph([], [], nodes=[], opset_imports=imports)

    assert opset_of(ir.Model(graph, ir_version=9)) == opset


@pytest.mark.parametrize(
    "node", ["Constant<value_ints = [3]>()", "Constant<value = int64[1] {3}>()", "Identity(k)"]
)
def test_constant_array_reads(model_from_text: Parse, node: str) -> None:
    model = model_from_text(f"g () => (y) <int64[1] k = {{3}}> {{ y = {node} }}")

    np.testing.assert_array_equal(constant_array(model.graph.outputs[0]), [3])


@pytest.mark.parametrize("node", ["Relu(x)", "Identity(x)"])
def test_constant_array_gives_nothing_of_what_is_computed(
    model_from_text: Parse, node: str
) -> None:
    model = model_from_text(f"g (float[1] x) => (y) {{ y = {node} }}")

    assert constant_array(model.graph.outputs[0]) is None


def test_constant_array_does_not_open_other_files() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["": 19]> g () => (y) <float[1] k = {3}> { y = Relu(k) }'
    )
    tensor = proto.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="no-such-file")
    value = ir.from_proto(proto).graph.initializers["k"]

    assert is_external(value)
    assert is_constant(value)
    assert constant_array(value) is None


def test_behind_stops_at_other_operators(model_from_text: Parse) -> None:
    text = "g (float[2] x) => (y) { a = Relu(x) b = Cast<to = 10>(a) y = Identity(b) }"
    model = model_from_text(text)

    source = behind(model.graph.outputs[0], ("Cast", "Identity"))

    assert source is not None
    assert source.name == "a"


PAIR = """
g (float[2] x) => (y) <float s = {1}, int8 z = {0}, float[2] w = {1, 2}>
{ i = QuantizeLinear(%s, s, z) [d] f = DequantizeLinear(i, s, z) y = Transpose(f) }
"""


@pytest.mark.parametrize(("of", "expected"), [("x", False), ("w", True)])
def test_is_weight_tells_constants_from_activations(
    model_from_text: Parse, of: str, expected: bool
) -> None:
    node = dequantizer(model_from_text(PAIR % of).graph.outputs[0])

    assert node is not None
    assert is_weight(node) is expected


def test_dequantizer_does_not_go_through_what_is_not_asked(model_from_text: Parse) -> None:
    assert dequantizer(model_from_text(PAIR % "x").graph.outputs[0], ("Cast",)) is None
