"""Small graphs from ONNX text, one of them a whole network, and a way to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

Feeds = Mapping[str, NDArray[np.generic]]
Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Feeds], dict[str, NDArray[np.float32]]]

# A picture, a backbone, samples at coordinates, and landmarks.
NETWORK = """
g (uint8[B, 8, 8, 3] image) => (float[B, 5, 2] landmarks)
<float[3] mean = {100, 110, 120}, float hundredth = {0.01}, float[4, 3, 3, 3] w,
 float[1, 5, 1, 2] grid, float[20, 10] head, float two = {2},
 float[1, 5, 1, 2] box, int64[2] flat = {-1, 20}, int64[4] cells = {-1, 5, 1, 2},
 float[20, 10] last, int64[3] shape = {-1, 5, 2}, int64[2] pairs = {-1, 10},
 int64[3] ones = {1, 1, 1}, int64[5] turned = {1, 2, 3, 4, 0}, float[10, 20] encoder>
{
  float_image = Cast<to = 1>(image)
  centred = Sub(float_image, mean)
  unit = Mul(centred, hundredth)
  nchw = Transpose<perm = [0, 3, 1, 2]>(unit)
  map = Conv<pads = [1, 1, 1, 1]>(nchw, w)
  features = Relu(map)
  batch = Shape<start = 0, end = 1>(image)
  sizes = Concat<axis = 0>(batch, ones)
  start = Expand(grid, sizes)
  first = GridSample(features, start)
  first_flat = Reshape(first, flat)
  offsets = Gemm(first_flat, head)
  offsets_grid = Reshape(offsets, cells)
  scaled = Mul(offsets_grid, two)
  moved = Add(scaled, box)
  second = GridSample(features, moved)
  second_flat = Reshape(second, flat)
  neighbours = Gather<axis = 1>(moved, turned)
  relative = Sub(moved, neighbours)
  relative_flat = Reshape(relative, pairs)
  encoded = MatMul(relative_flat, encoder)
  mixed = Add(second_flat, encoded)
  normed = Softmax<axis = -1>(mixed)
  delta = Gemm(normed, last)
  delta_points = Reshape(delta, shape)
  moved_points = Reshape(moved, shape)
  landmarks = Add(moved_points, delta_points)
}
"""


@pytest.fixture
def model_from_text() -> Parse:
    """Return a parser of ONNX text, opset 19, that infers every shape it can."""

    def parse(text: str) -> ir.Model:
        proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
        return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))

    return parse


@pytest.fixture
def run() -> Run:
    """Return what ONNX Runtime makes of a graph and its inputs."""

    def run_model(model: ir.Model, feeds: Feeds) -> dict[str, NDArray[np.float32]]:
        data = ir.to_proto(model).SerializeToString()
        options = ort.SessionOptions()
        options.log_severity_level = 4  # what matters is raised
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))

    return run_model


@pytest.fixture
def filled() -> Parse:
    """Return a parser of ONNX text that draws, seeded, every constant declared without numbers."""

    def parse(text: str) -> ir.Model:
        proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
        rng = np.random.default_rng(5)
        for declared in proto.graph.value_info:
            sizes = [dim.dim_value for dim in declared.type.tensor_type.shape.dim]
            array = (rng.normal(size=sizes) / 8).astype(np.float32)
            proto.graph.initializer.append(numpy_helper.from_array(array, declared.name))
        proto.graph.ClearField("value_info")
        return ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))

    return parse


@pytest.fixture
def network(filled: Parse) -> ir.Model:
    """Return the network, all shapes inferred."""
    return filled(NETWORK)
