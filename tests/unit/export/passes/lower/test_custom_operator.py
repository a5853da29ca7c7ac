from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.export.graph import check_onnx
from facealign.export.passes.lower.custom_operator import add_function, custom_node, drop_functions

Parse = Callable[[str], ir.Model]

BODY = "Twice <plugin_namespace, plugin_version> (a) => (b) { b = Add(a, a) }"
PLAIN = "g (float[B, 2] x) => (float[B, 2] y) { y = Relu(x) }"


def test_custom_node_is_of_our_domain() -> None:
    node = custom_node("Twice", [ir.Value(name="x")], output=ir.Value(name="y"), name="twice")

    assert (node.domain, node.op_type, node.name) == ("facealign", "Twice", "twice")
    assert sorted(node.attributes) == ["plugin_namespace", "plugin_version"]


@pytest.mark.parametrize("opset", [17, 19])
def test_add_function_speaks_the_opset_of_the_model(model_from_text: Parse, opset: int) -> None:
    model = model_from_text(PLAIN)
    model.graph.opset_imports[""] = opset

    add_function(model, BODY)

    function = model.functions["facealign", "Twice", ""]
    assert function.opset_imports[""] == opset
    check_onnx(model)


def test_add_function_raises_ir_version_to_the_first_with_functions(
    model_from_text: Parse,
) -> None:
    model = model_from_text(PLAIN)
    model.ir_version = 7

    add_function(model, BODY)

    assert model.ir_version == 8


def test_add_function_imports_the_domain(model_from_text: Parse) -> None:
    model = model_from_text(PLAIN)

    add_function(model, BODY)

    assert dict(model.opset_imports) == {"": 19, "facealign": 1}


def test_drop_functions_keeps_those_of_other_operators(model_from_text: Parse) -> None:
    model = model_from_text(PLAIN)
    add_function(model, BODY)
    add_function(model, BODY.replace("Twice", "Double"))

    drop_functions(model, ["Twice"])

    assert list(model.functions) == [("facealign", "Double", "")]
