from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.graph import check_onnx
from facealign.export.passes.lower.writer import NodeWriter, constant

Parse = Callable[[str], ir.Model]

TEXT = """
g (float[B, 2] x) => (float[B, 2] y)
<float[2] held = {1, 2}>
{ y = Add(x, held) }
"""


@pytest.mark.parametrize(
    ("array", "name"),
    [
        pytest.param(np.array([1, 2], np.float32), "held", id="same"),
        pytest.param(np.array([1, 3], np.float32), "held.2", id="other-numbers"),
        pytest.param(np.array([1, 2], np.float64), "held.2", id="other-type"),
        pytest.param(np.array([[1, 2]], np.float32), "held.2", id="other-shape"),
        pytest.param(np.array([1, 2], np.float32), "free", id="name-is-free"),
    ],
)
def test_constant_is_shared_by_name_and_content(
    model_from_text: Parse, array: NDArray[np.generic], name: str
) -> None:
    graph = model_from_text(TEXT).graph

    value = constant(graph, array, name.removesuffix(".2"))

    assert value.name == name
    assert graph.initializers[name] is value
    assert value.const_value is not None
    np.testing.assert_array_equal(value.const_value.numpy(), array)


def test_constant_keeps_a_scalar_a_scalar(model_from_text: Parse) -> None:
    value = constant(model_from_text(TEXT).graph, np.array(3, np.float32), "three")

    assert value.shape == ir.Shape([])


def test_writer_puts_nodes_in_place_of_another_under_its_name(model_from_text: Parse) -> None:
    model = model_from_text(TEXT)
    node = model.graph[0]
    writer = NodeWriter(model.graph, node)
    inputs = [value for value in node.inputs if value is not None]

    writer.finish(writer.op("Neg", [writer.op("Mul", inputs, "product")], "negative"))

    names = [(each.op_type, each.outputs[0].name) for each in model.graph]
    assert names == [("Mul", "y.product"), ("Neg", "y")]
    check_onnx(model)
