"""OpenVINO on the CPU, as a peer of ONNX Runtime; the only file that imports it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError, MissingLibraryError

__all__ = ["openvino_runner", "openvino_version"]

_INPUT, _OUTPUT = "image", "landmarks"


def openvino_version() -> str:
    """Return its version.

    Raises:
        MissingLibraryError: If it is not installed.
    """
    try:
        return version("openvino")
    except PackageNotFoundError as error:
        raise MissingLibraryError(
            "the peer of this benchmark, OpenVINO, is not installed; run `pip install openvino`"
        ) from error


def openvino_runner(
    graph: bytes, *, size_px: int, threads: int
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what gives the landmarks ``(1, N, 2)`` of one crop ``(1, S, S, 3)`` uint8 BGR.

    The batch is fixed at 1, which OpenVINO likes better than a dynamic one. What is not INT8 runs
    in FP32: by itself it would take BF16 on a CPU that has it.

    Args:
        graph: ONNX file of ours.
        size_px: S.
        threads: Of inference.

    Raises:
        MissingLibraryError: If OpenVINO is not installed.
        BackendError: If it refuses the graph.
    """
    openvino_version()
    import openvino  # an extra of this benchmark

    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        model = core.read_model(model=graph, weights=b"")
        model.reshape({_INPUT: [1, size_px, size_px, 3]})
        request: Any = core.compile_model(model, "CPU", options).create_infer_request()
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BackendError(f"OpenVINO {openvino_version()} refuses the graph: {reason}") from error

    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array(request.infer({_INPUT: crops})[_OUTPUT])

    return run
