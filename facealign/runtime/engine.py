"""What runs a graph: the protocol, and the engines by name."""

from __future__ import annotations

import difflib
import importlib
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle
from facealign.errors import BackendError, UsageError

__all__ = ["Engine", "engine_names", "open_engine"]

# Module and extra. Imported when asked for: facealign.runtime itself needs none of the libraries.
_MODULES = {
    "onnxruntime": ("facealign.runtime.ort_engine", "ort"),
    "openvino": ("facealign.runtime.openvino_engine", "openvino"),
    "tensorrt": ("facealign.runtime.tensorrt.bundle_engine", "trt"),
}


class Engine(Protocol):
    """One graph, ready to run.

    `run` may be called from several threads at once; an engine that cannot do so locks itself.
    """

    name: str
    max_batch: int

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name.

        Args:
            crops: ``(B, S, S, 3)`` uint8 BGR, B from 1 to `max_batch`.

        Returns:
            ``landmarks`` is ``(B, N, 2)`` float32, a fraction of the crop; then what else the
            bundle's manifest promises. The arrays are the caller's: no later run writes into them.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; a second call does nothing."""
        ...


class _EngineModule(Protocol):
    """What every module of `_MODULES` offers."""

    @staticmethod
    def open_engine(bundle: Bundle, *, precision: str, threads: int | None) -> Engine:
        """Return the engine for the graph of that precision."""
        ...


def engine_names() -> tuple[str, ...]:
    """Return what `open_session` takes as ``engine``, whether or not its library is installed."""
    return tuple(sorted(_MODULES))


def open_engine(bundle: Bundle, *, name: str, precision: str, threads: int | None = None) -> Engine:
    """Return the engine of that name for the bundle's graph of that precision.

    Raises:
        UsageError: If there is no such engine or precision, or `threads` is not a positive number.
        BackendError: If the engine's library is absent.
    """
    if name not in _MODULES:
        raise UsageError(f"there is no engine {name!r}; {_nearest(name, engine_names())}")
    known = ", ".join(sorted(bundle.manifest.graphs))
    if precision not in bundle.manifest.graphs:
        raise UsageError(f"the bundle has no {precision!r} graph; choose from {known}")
    if threads is not None and threads < 1:
        raise UsageError(f"`threads` must be at least 1, got {threads}")
    module_name, extra = _MODULES[name]
    try:
        module = cast(_EngineModule, importlib.import_module(module_name))
    except ImportError as error:
        raise BackendError(
            f"the engine {name!r} cannot be imported ({error}); "
            f'run `pip install "facealign[{extra}]"`'
        ) from error
    return module.open_engine(bundle, precision=precision, threads=threads)


def _nearest(word: str, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"
