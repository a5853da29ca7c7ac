"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from facealign.bundle import Bundle
from facealign.errors import BackendError, UsageError
from facealign.runtime.graph_names import check_names
from facealign.runtime.patch_crop_body import with_patch_crop_body
from facealign.runtime.threads import session_threads

__all__ = [
    "OrtEngine",
    "open_engine",
    "ort_session",
    "run_graph",
    "run_session",
    "silent_sessions",
]

_PROVIDERS = ["CPUExecutionProvider"]
_DEFAULT = 2  # of ONNX Runtime: warnings and worse
_SILENT = 4  # log severity: what matters is raised, and stderr belongs to the caller
# ORT's own exceptions have no common base but Exception; the binding adds the two of Python.
_ORT_ERRORS: tuple[type[Exception], ...] = (
    *(
        value
        for value in vars(ort_state).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ),
    RuntimeError,
    ValueError,
)


def open_engine(bundle: Bundle, *, precision: str, threads: int | None) -> OrtEngine:
    """Return the engine for the bundle's graph of that precision."""
    manifest = bundle.manifest
    return OrtEngine(
        bundle.read_file(manifest.graphs[precision].file),
        input_name=manifest.inputs[0].name,
        output_names=[output.name for output in manifest.outputs],
        max_batch=manifest.max_batch,
        threads=threads,
    )


@contextmanager
def silent_sessions() -> Iterator[None]:
    """Keep sessions that another library opens inside from writing to stderr."""
    ort.set_default_logger_severity(_SILENT)
    try:
        yield
    finally:
        ort.set_default_logger_severity(_DEFAULT)


def run_graph(
    graph: bytes, crops: NDArray[np.uint8], output_names: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return outputs of a graph, for parity and for the points between.

    Args:
        graph: Serialized ONNX model with one input.
        crops: ``(B, S, S, 3)`` uint8 BGR.
        output_names: Which outputs; every one if None.

    Raises `BackendError` if ONNX Runtime cannot open or run the graph.
    """
    session = ort_session(graph, threads=None)
    names = [output.name for output in session.get_outputs()]
    wanted = names if output_names is None else list(output_names)
    return run_session(session, wanted, {session.get_inputs()[0].name: crops})


class OrtEngine:
    """An `Engine`; ONNX Runtime sessions may be run from several threads at once.

    Without `integer_kernels` every Q/DQ pair rounds as it is written and products run in FP32: what
    the graph means, whatever kernels this CPU has.

    Raises:
        BackendError: If ONNX Runtime cannot open the graph, or not on the CPU.
        GraphContractError: If the graph does not have the input and the outputs it should.
    """

    name = "onnxruntime"

    def __init__(
        self,
        graph: bytes,
        *,
        input_name: str,
        output_names: Sequence[str],
        max_batch: int,
        threads: int | None = None,
        integer_kernels: bool = True,
    ) -> None:
        session = ort_session(graph, threads=threads, integer_kernels=integer_kernels)
        check_names("input", [input_name], [value.name for value in session.get_inputs()])
        check_names("output", output_names, [value.name for value in session.get_outputs()])
        self.max_batch = max_batch
        self._session: ort.InferenceSession | None = session
        self._input_name = input_name
        self._output_names = list(output_names)

    def run(
        self, crops: NDArray[np.uint8], output_names: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name, or those of them that are asked for.

        Raises:
            UsageError: If the engine is closed.
        """
        session = self._session  # a local name: close() in another thread must not free it midway
        if session is None:
            raise UsageError("the engine is closed; open a new one")
        names = self._output_names if output_names is None else list(output_names)
        return run_session(session, names, {self._input_name: crops})

    def close(self) -> None:
        """Free the session; runs under way in other threads finish."""
        self._session = None


def ort_session(
    graph: bytes,
    *,
    threads: int | None,
    integer_kernels: bool = True,
    profile_folder: Path | None = None,
) -> ort.InferenceSession:
    """Return a session on exactly the providers asked for.

    A patch crop without its function body gets it: see `patch_crop_body`.

    Args:
        graph: Serialized ONNX model.
        threads: As `session_threads` has it.
        integer_kernels: As in `OrtEngine`.
        profile_folder: Where ``profile*.json`` and ``optimised.onnx`` are to be written, if at all.

    Raises:
        BackendError: If the graph is refused, or ORT fell back to other providers.
    """
    options = _session_options(threads=threads)
    if not integer_kernels:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if profile_folder is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_folder / "profile")
        options.optimized_model_filepath = str(profile_folder / "optimised.onnx")
    try:
        session = ort.InferenceSession(with_patch_crop_body(graph), options, providers=_PROVIDERS)
    except _ORT_ERRORS as error:
        raise BackendError(
            f"onnxruntime {ort.__version__} cannot open the graph: {_one_line(error)}"
        ) from error
    if session.get_providers() != _PROVIDERS:
        raise BackendError(f"asked for {_PROVIDERS}, onnxruntime gave {session.get_providers()}")
    session.disable_fallback()
    return session


def _session_options(*, threads: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = session_threads(threads)
    return options


def run_session(
    session: ort.InferenceSession,
    output_names: list[str],
    feeds: dict[str, NDArray[np.generic]],
) -> dict[str, NDArray[np.float32]]:
    """Return the outputs by name.

    Raises:
        BackendError: If ONNX Runtime cannot run the graph.
    """
    options = ort.RunOptions()
    options.log_severity_level = _SILENT
    try:
        outputs = session.run(output_names, feeds, options)
    except _ORT_ERRORS as error:
        raise BackendError(
            f"onnxruntime {ort.__version__} cannot run the graph: {_one_line(error)}"
        ) from error
    return dict(zip(output_names, outputs, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
