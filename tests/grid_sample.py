"""ONNX Runtime's GridSample of the kind that a patch crop is."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

__all__ = ["grid_sample"]


def grid_sample(features: NDArray[np.float32], grid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the samples; bilinear, zeros outside, corners not aligned."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4)
        for name in ("map", "grid", "patches")
    ]
    node = helper.make_node("GridSample", ["map", "grid"], ["patches"], align_corners=0)
    graph = helper.make_graph([node], "sample", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"map": features, "grid": grid})[0], np.float32)
