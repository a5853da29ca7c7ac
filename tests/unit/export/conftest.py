"""Small graphs from ONNX text, and a way to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

Feeds = Mapping[str, NDArray[np.generic]]
Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Feeds], dict[str, NDArray[np.float32]]]


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
