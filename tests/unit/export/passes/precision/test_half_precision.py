from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.check_typed import check_typed

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]


def as_bytes(model: ir.Model) -> bytes:
    return bytes(ir.to_proto(model).SerializeToString(deterministic=True))


def test_half_precision_does_not_touch_its_argument(network: ir.Model) -> None:
    before = as_bytes(network)

    typed = half_precision(network)

    assert as_bytes(network) == before
    assert as_bytes(typed) != before


def test_half_precision_gives_same_bytes_again(network: ir.Model) -> None:
    assert as_bytes(half_precision(network)) == as_bytes(half_precision(network))


def test_half_precision_keeps_inputs_outputs_and_names(network: ir.Model) -> None:
    typed = half_precision(network)

    names = {value.name for node in typed.graph for value in node.outputs}
    assert {value.name for node in network.graph for value in node.outputs} <= names
    assert [(v.name, v.dtype) for v in typed.graph.inputs] == [("image", ir.DataType.UINT8)]
    assert [(v.name, v.dtype) for v in typed.graph.outputs] == [("landmarks", ir.DataType.FLOAT)]
    assert typed.opset_imports == {"": 19}


def test_half_precision_makes_nodes_full_that_are_named(network: ir.Model) -> None:
    typed = half_precision(network, keep=["mixed"])

    types = {value.name: value.dtype for node in typed.graph for value in node.outputs}
    assert types["mixed"] == types["normed"] == ir.DataType.FLOAT
    check_typed(typed)


def test_half_precision_takes_constants_of_nodes(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8] x) => (float[B, 2] y) <float[8, 8] w, float[8, 2] head>
        {
          two = Constant<value_float = 2.0>()
          a = MatMul(x, w)
          b = Mul(a, two)
          y = MatMul(b, head)
        }
        """
    )

    typed = half_precision(model)

    assert [node.op_type for node in typed.graph] == ["Cast", "MatMul", "Mul", "Cast", "MatMul"]
    check_typed(typed)
