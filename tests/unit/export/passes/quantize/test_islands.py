from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from facealign.export.passes.quantize.islands import coordinate_nodes, image_products
from tests.unit.export.passes.quantize.test_tensorrt import SAMPLED

Parse = Callable[[str], ir.Model]


def outputs(nodes: set[ir.Node]) -> set[str]:
    return {str(node.outputs[0].name) for node in nodes}


def test_coordinate_nodes_end_at_products_of_enough_terms(float_graph: Parse) -> None:
    found = outputs(coordinate_nodes(float_graph(SAMPLED).graph))

    assert found == {"landmarks", "delta", "guess", "grid"}


def test_coordinate_nodes_go_on_behind_products_of_few_terms(float_graph: Parse) -> None:
    text = """
    g (float[B,16] image, float[16,20] w0, float[20,3] w1, float[3,2] w2) => (float[B,2] landmarks)
    { hidden = MatMul(image, w0)
      three = MatMul(hidden, w1)
      landmarks = MatMul(three, w2) }
    """

    assert outputs(coordinate_nodes(float_graph(text).graph)) == {"landmarks", "three"}


def test_image_products_are_the_first_on_every_way(float_graph: Parse) -> None:
    text = """
    g (float[B,3,8,8] image, float[16,3,1,1] w0, float[8,3,1,1] w1, float[4,16,1,1] w2)
      => (float[B,4,8,8] landmarks, float[B,8,8,8] other)
    { scaled = Tanh(image)
      a = Conv(scaled, w0)
      other = Conv(image, w1)
      landmarks = Conv(a, w2) }
    """

    assert outputs(image_products(float_graph(text).graph)) == {"a", "other"}
