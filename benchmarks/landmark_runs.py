"""From one crop to its landmarks, in each engine: what benchmarks of engines time and compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from facealign.errors import MissingLibraryError
from facealign.runtime.engine import Engine
from facealign.runtime.ort_engine import OrtEngine

__all__ = ["Run", "check_openvino", "distance_px", "landmarks_by_run", "on_one", "openvino", "ort"]

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""From one crop ``(1, S, S, 3)`` to its landmarks ``(1, N, 2)``, a fraction of the crop."""

_INPUT, _OUTPUT = "image", "landmarks"


def ort(graph: bytes, *, threads: int) -> Run:
    """Return what runs an ONNX file of ours in ONNX Runtime."""
    return _run_of(
        OrtEngine(graph, input_name=_INPUT, output_names=[_OUTPUT], max_batch=1, threads=threads)
    )


def openvino(graph: bytes, *, threads: int) -> Run:
    """Return what runs an ONNX file of ours in OpenVINO.

    Raises:
        MissingLibraryError: If OpenVINO is not installed.
        BackendError: If it refuses the graph.
    """
    check_openvino()
    from facealign.runtime.openvino_engine import OpenvinoEngine  # an extra

    return _run_of(
        OpenvinoEngine(
            graph, input_name=_INPUT, output_names=[_OUTPUT], max_batch=1, threads=threads
        )
    )


def check_openvino() -> None:
    """Check that OpenVINO is there.

    Raises:
        MissingLibraryError: If it is not.
    """
    if find_spec("openvino") is None:
        raise MissingLibraryError(
            'OpenVINO is not installed; run `pip install "facealign[openvino]"`'
        )


def on_one(run: Run, crop: NDArray[np.uint8]) -> Callable[[], object]:
    """Return a run that is given its crop, as `take_turns` wants it."""
    return lambda: run(crop)


def landmarks_by_run(
    runs: Mapping[str, Run], crops: NDArray[np.uint8]
) -> dict[str, NDArray[np.float32]]:
    """Return ``(K, N, 2)`` of each run, for ``(K, S, S, 3)`` crops, one after the other."""
    return {name: np.concatenate([run(crop[None]) for crop in crops]) for name, run in runs.items()}


def distance_px(
    one: NDArray[np.float32], other: NDArray[np.float32], size_px: int
) -> NDArray[np.float64]:
    """Return ``(K, N)`` how far landmarks are apart, in crop pixels; infinite where one is none."""
    distance = np.linalg.norm(one.astype(np.float64) - other, axis=-1) * size_px
    return np.where(np.isfinite(distance), distance, np.inf)


def _run_of(engine: Engine) -> Run:
    return lambda crop: engine.run(crop)[_OUTPUT]
