"""Graphs from ONNX text whose inputs ``w...`` become random weights, and ranges for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.passes.quantize import tensors_to_observe

Parse = Callable[[str], ir.Model]
_TYPES = {onnx.TensorProto.FLOAT: np.float32, onnx.TensorProto.FLOAT16: np.float16}


@pytest.fixture
def float_graph(rng: np.random.Generator) -> Parse:
    """Return a parser that makes weights of the inputs whose name starts with ``w``."""

    def parse(text: str) -> ir.Model:
        proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
        weights = [value for value in proto.graph.input if value.name.startswith("w")]
        for value in weights:
            tensor = value.type.tensor_type
            shape = [dim.dim_value for dim in tensor.shape.dim]
            numbers = rng.normal(size=shape).astype(_TYPES[tensor.elem_type])
            proto.graph.initializer.append(onnx.numpy_helper.from_array(numbers, value.name))
            proto.graph.input.remove(value)
        return ir.from_proto(
            onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
        )

    return parse


@pytest.fixture
def ranges_for() -> Callable[[ir.Model], dict[str, float]]:
    """Return what gives every tensor that may be quantised the range 4."""
    return lambda model: dict.fromkeys(tensors_to_observe(model), 4.0)
