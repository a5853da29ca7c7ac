"""OpenVINO on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import openvino
from numpy.typing import NDArray

from facealign.bundle import Bundle
from facealign.errors import BackendError, ShapeError, UsageError
from facealign.runtime.graph_names import check_names
from facealign.runtime.threads import session_threads

__all__ = ["OpenvinoEngine", "open_engine"]

_DEVICE = "CPU"  # `AUTO`, its default, may take a GPU
_VERSION = openvino.__version__.partition("-")[0]
_PRECISION = openvino.Type.f32
# Its exceptions come as RuntimeError; the binding adds the two of Python.
_OPENVINO_ERRORS = (RuntimeError, TypeError, ValueError)
# Lines of its messages that name places in its source, and a page of its documents.
_NOISE = ("Exception from ", "Check ", "To facilitate ")
_OURS = "facealign."  # the domain of our operators


def open_engine(bundle: Bundle, *, precision: str, threads: int | None) -> OpenvinoEngine:
    """Return the engine for the bundle's graph of that precision."""
    manifest = bundle.manifest
    return OpenvinoEngine(
        bundle.read_file(manifest.graphs[precision].file),
        input_name=manifest.inputs[0].name,
        output_names=[output.name for output in manifest.outputs],
        max_batch=manifest.max_batch,
        threads=threads,
    )


class OpenvinoEngine:
    """An `Engine`: may be called from several threads; their runs take turns on its cores.

    What is not INT8 runs in FP32, an FP16 graph too. By itself OpenVINO takes BF16 on a CPU that
    has it, which moves landmarks of rendered faces by 0.6 to 3 px (p99), with the coordinates in
    FP32 as well (benchmarks/openvino_engine.py). Of INT8 the file for CPUs is as far from FP32 as
    in ONNX Runtime; symmetric pairs, as in the file for TensorRT, OpenVINO 2026.4 gets wrong in
    four of six families, and the self-test is there to refuse them.

    The graph is compiled for one crop, and crops of a batch run one after the other. OpenVINO
    2026.4 cannot compile INT8 files of some networks with a dynamic batch (it fails in
    ``ReshapeTransformation``). A graph for each batch size costs up to 7 s and 30 to 180 MiB, and
    gained nothing per crop (the demo and SLPT with 6 layers, batches of 1 to 8, two cores).

    Raises:
        BackendError: If OpenVINO cannot open the graph, or not as it was asked to.
        GraphContractError: If the graph does not have the input and the outputs it should.
    """

    name = "openvino"

    def __init__(
        self,
        graph: bytes,
        *,
        input_name: str,
        output_names: Sequence[str],
        max_batch: int,
        threads: int | None = None,
    ) -> None:
        model = _model_of_one_crop(graph, input_name, output_names)
        self.max_batch = max_batch
        self._compiled: openvino.CompiledModel | None = _compiled(model, threads=threads)
        self._idle: list[openvino.InferRequest] = []
        self._lock = threading.Lock()
        self._input_name = input_name
        self._output_names = list(output_names)

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name.

        Raises:
            BackendError: If OpenVINO refuses the crops.
            ShapeError: If they are not uint8, which OpenVINO would cast.
            UsageError: If the engine is closed.
        """
        if crops.dtype != np.uint8:
            raise ShapeError(f"crops must be uint8, got {crops.dtype}; use `.astype(np.uint8)`")
        with self._request() as request:
            runs = [self._run_one(request, crops[i : i + 1]) for i in range(len(crops))]
        return {name: np.concatenate([run[name] for run in runs]) for name in self._output_names}

    def close(self) -> None:
        """Free the graph; runs under way in other threads finish."""
        with self._lock:
            self._compiled = None
            self._idle.clear()

    @contextmanager
    def _request(self) -> Iterator[openvino.InferRequest]:
        """Lend a request that no other thread has; one that failed is not lent again."""
        with self._lock:
            if self._compiled is None:
                raise UsageError("the engine is closed; open a new one")
            request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
        yield request
        with self._lock:
            if self._compiled is not None:
                self._idle.append(request)

    def _run_one(
        self, request: openvino.InferRequest, crop: NDArray[np.uint8]
    ) -> dict[str, NDArray[np.float32]]:
        try:
            outputs = request.infer({self._input_name: crop})
        except _OPENVINO_ERRORS as error:
            raise BackendError(
                f"openvino {_VERSION} cannot run the graph: {_one_line(error)}"
            ) from error
        return {name: outputs[name] for name in self._output_names}


def _model_of_one_crop(
    graph: bytes, input_name: str, output_names: Sequence[str]
) -> openvino.Model:
    """Return the model of a graph, its batch fixed at 1."""
    try:
        model = openvino.Core().read_model(model=graph, weights=b"")
        check_names("input", [input_name], [value.any_name for value in model.inputs])
        check_names("output", output_names, [value.any_name for value in model.outputs])
        shape = model.input(input_name).partial_shape
        shape[0] = 1
        model.reshape({input_name: shape})
    except _OPENVINO_ERRORS as error:
        raise BackendError(_cannot_open(error)) from error
    return model


def _compiled(model: openvino.Model, *, threads: int | None) -> openvino.CompiledModel:
    """Return a model compiled for exactly the device and the precision asked for.

    Raises:
        BackendError: If OpenVINO refuses, or gives another.
    """
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": session_threads(threads),
        "INFERENCE_PRECISION_HINT": _PRECISION,
        # Pinned, the threads of several processes would sit on the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    try:
        compiled = openvino.Core().compile_model(model, _DEVICE, options)
        devices = compiled.get_property("EXECUTION_DEVICES")
        precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    except _OPENVINO_ERRORS as error:
        raise BackendError(_cannot_open(error)) from error
    if devices != [_DEVICE] or precision != _PRECISION:
        raise BackendError(
            f"asked for {[_DEVICE]} in {_PRECISION.get_type_name()}, openvino gave {devices} in "
            f"{precision.get_type_name()}"
        )
    return compiled


def _cannot_open(error: Exception) -> str:
    text = f"openvino {_VERSION} cannot open the graph: {_one_line(error)}"
    if _OURS in text:
        return f"{text}; it runs standard operators only, so compile with `--patch-crop standard`"
    return text


def _one_line(error: Exception) -> str:
    """Return what OpenVINO says, without its own places; all of it if nothing else is left."""
    lines = str(error).splitlines()
    said = [line for line in lines if not line.startswith(_NOISE)]
    return " ".join(" ".join(said or lines).split())
