"""Makes the graph that engines are proved with.

``python -m tests.unit.pipeline.probe_graph`` writes it into the package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

import facealign.pipeline
from facealign.pipeline.probe_bundle import LANDMARK_COUNT, SIZE_PX, probe_weights

__all__ = ["PROBE", "probe_graph"]

PROBE = Path(facealign.pipeline.__file__).with_name("probe.onnx")


def probe_graph() -> bytes:
    """Return the ONNX graph: blurred channel means, and landmarks by a product of them."""
    convolution, product, bias = probe_weights()
    constants: dict[str, NDArray[Any]] = {
        "scale": np.array(1 / 255, np.float32),
        "convolution": convolution,
        "product": product,
        "bias": bias,
        "shape": np.array([-1, LANDMARK_COUNT, 2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["grey", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "convolution"], ["blurred"]),
        helper.make_node("GlobalAveragePool", ["blurred"], ["means"]),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("Gemm", ["features", "product", "bias"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["landmarks"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["B", SIZE_PX, SIZE_PX, 3])
    landmarks = helper.make_tensor_value_info(
        "landmarks", TensorProto.FLOAT, ["B", LANDMARK_COUNT, 2]
    )
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "probe", [image], [landmarks], initializers),
        opset_imports=[helper.make_opsetid("", 19)],
        ir_version=9,
        producer_name="facealign",
    )
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    PROBE.write_bytes(probe_graph())
