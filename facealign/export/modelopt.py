"""The door to NVIDIA ModelOpt, the only file that imports it: a graph and crops in, Q/DQ out."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.errors import BackendError, MissingLibraryError
from facealign.export.graph import bytes_from_graph, graph_from_bytes, node_name

__all__ = ["OBSERVERS", "check_modelopt", "int8_by_modelopt", "modelopt_version"]

# What ModelOpt calls ours. Its activations are symmetric, so the largest magnitude is the range.
_METHODS = {"entropy": "entropy", "min_max": "max"}
OBSERVERS = tuple(_METHODS)


class _Library(Protocol):
    """The part of ``modelopt.onnx.quantization`` that is called; it has no types of its own."""

    def quantize(self, _: str, /, **settings: object) -> None:
        """Write a quantised graph to the file ``output_path``."""


def check_modelopt() -> None:
    """Check that ModelOpt can be used, before an hour of work depends on it.

    Raises:
        MissingLibraryError: If it, or a library that its ONNX part reads, is not installed.
    """
    _library()


def modelopt_version() -> str:
    """Return the version of ModelOpt.

    Raises:
        MissingLibraryError: If it is not installed.
    """
    _library()
    return str(import_module("modelopt").__version__)


def int8_by_modelopt(
    model: ir.Model,
    crops: NDArray[np.uint8],
    *,
    leave_float: Collection[str],
    observer: str,
) -> ir.Model:
    """Return a graph with the Q/DQ pairs that ModelOpt chooses, as it gives it: check it.

    Nodes without a name get that of `node_name`; all others keep theirs. It runs on the CPU.

    Args:
        model: An FP32 graph.
        crops: ``(K, S, S, 3)`` uint8 BGR, to calibrate on.
        leave_float: Names of nodes that ModelOpt shall not quantise; it may still let them read a
            tensor that it quantised for others.
        observer: Of `OBSERVERS`.

    Raises:
        MissingLibraryError: If ModelOpt is not installed.
        BackendError: If it fails.
        GraphContractError: If what it writes is no ONNX model.

    Source: nvidia-modelopt 0.47.0, the docstring of ``modelopt.onnx.quantization.quantize``.
    """
    quantization = _library()
    with TemporaryDirectory(prefix="facealign-modelopt-") as folder, _quiet():
        given, made = Path(folder, "given.onnx"), Path(folder, "made.onnx")
        given.write_bytes(_named(model))
        try:
            quantization.quantize(
                str(given),
                quantize_mode="int8",
                calibration_data={"image": crops},
                calibration_method=_METHODS[observer],
                calibration_eps=["cpu"],
                # It reads them as regular expressions, and `conv_1` would match `conv_10`.
                nodes_to_exclude=[rf"{re.escape(name)}\Z" for name in sorted(leave_float)],
                # Its FP16 takes in grids and landmarks.
                high_precision_dtype="fp32",
                output_path=str(made),
                log_level="ERROR",
            )
            data = made.read_bytes()
        except Exception as error:  # of ModelOpt, ONNX and ONNX Runtime: there is no common one
            raise BackendError(
                f"ModelOpt could not quantise the graph: {type(error).__name__}: "
                f"{_first_line(error)}; leave out `--quantizer modelopt`"
            ) from error
    return graph_from_bytes(data)


def _library() -> _Library:
    with _quiet():  # it greets on stdout, which belongs to `--json`
        try:
            return cast("_Library", import_module("modelopt.onnx.quantization"))
        except ImportError as error:
            raise MissingLibraryError(
                f"`--quantizer modelopt` cannot import ModelOpt: {_first_line(error)}; install it, "
                'and what it needs, with `pip install "facealign[modelopt]"`'
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what ModelOpt prints, progress bars too, from the caller's terminal."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _named(model: ir.Model) -> bytes:
    copy = graph_from_bytes(bytes_from_graph(model))
    for node in copy.graph:
        node.name = node_name(node)
    return bytes_from_graph(copy)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "no message")
