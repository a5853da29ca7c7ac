"""Small classes: loggers, recorders, monitors, shapes, bytes and errors of the parser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx

from tests.doubles.tensorrt.objects import Object

__all__ = [
    "Dims",
    "HostMemory",
    "IErrorRecorder",
    "ILogger",
    "IProfiler",
    "IProgressMonitor",
    "Logger",
    "ParserError",
    "values_of",
]


class ILogger(Object):
    """To be subclassed; `log` is called by the double."""

    def log(self, severity: Any, msg: str) -> None:
        raise RuntimeError('Tried to call pure virtual function "ILogger::log"')


class Logger(Object):
    """Writes nothing: stderr belongs to the test; `lines` is not TensorRT's."""

    def _create(self, min_severity: Any = None) -> None:
        self._values["min_severity"] = min_severity or self._enum("ILogger.Severity", "WARNING")
        self._lines: list[str] = []

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) <= int(self._values["min_severity"]):
            self._lines.append(msg)


class IErrorRecorder(Object):
    """To be subclassed; the double calls `report_error`."""

    def report_error(self, arg0: Any, arg1: str) -> bool:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::reportError"')

    def num_errors(self) -> int:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::getNbErrors"')

    def get_error_code(self, arg0: int) -> Any:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::getErrorCode"')

    def get_error_desc(self, arg0: int) -> str:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::getErrorDesc"')

    def has_overflowed(self) -> bool:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::hasOverflowed"')

    def clear(self) -> None:
        raise RuntimeError('Tried to call pure virtual function "IErrorRecorder::clear"')


class IProfiler(Object):
    """To be subclassed; a run calls it once per layer."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise RuntimeError('Tried to call pure virtual function "IProfiler::reportLayerTime"')


class IProgressMonitor(Object):
    """To be subclassed; a build calls all three."""

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        raise RuntimeError('Tried to call pure virtual function "IProgressMonitor::phaseStart"')

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise RuntimeError('Tried to call pure virtual function "IProgressMonitor::stepComplete"')

    def phase_finish(self, phase_name: str) -> None:
        raise RuntimeError('Tried to call pure virtual function "IProgressMonitor::phaseFinish"')


class Dims(Object):
    """A shape; -1 is not known yet."""

    _items: tuple[int, ...] = ()
    __hash__ = None  # type: ignore[assignment]  # as TensorRT's

    def _create(self, shape: Iterable[int] = ()) -> None:
        self._set_up(shape)

    def _set_up(self, shape: Iterable[int]) -> None:
        self._items = tuple(int(axis) for axis in shape)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, arg0: int | slice) -> int | tuple[int, ...]:
        return self._items[arg0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Dims, tuple, list)) and values_of(other) == self._items

    def __repr__(self) -> str:
        return str(self._items)

    def _get_MAX_DIMS(self) -> int:  # noqa: N802  # its name
        return 8


class ParserError(Object):
    """Why a node was refused."""

    def _set_up(self, code: str, text: str, node: onnx.NodeProto | None, index: int) -> None:
        self._code, self._text, self._index = code, text, index
        self._node_name = node.name if node else ""
        self._operator = node.op_type if node else ""

    def code(self) -> Any:
        return self._enum("ErrorCode", self._code)

    def desc(self) -> str:
        return self._text

    def file(self) -> str:
        return "tensorrt_double.cpp"

    def line(self) -> int:
        return 1

    def func(self) -> str:
        return "parseNode"

    def node(self) -> int:
        return self._index

    def node_name(self) -> str:
        return self._node_name

    def node_operator(self) -> str:
        return self._operator

    def local_function_stack(self) -> list[str]:
        return []

    def local_function_stack_size(self) -> int:
        return 0


class HostMemory(bytearray):
    """Bytes that TensorRT owns: a buffer with `nbytes`, and nothing else of a bytearray."""

    _ALLOWED = frozenset({"nbytes", "dtype"})

    def __getattribute__(self, name: str) -> Any:
        if name == "nbytes":
            return bytearray.__len__(self)
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise AttributeError(f"'tensorrt.IHostMemory' object has no attribute '{name}'")

    def __len__(self) -> int:
        raise TypeError("object of type 'tensorrt.IHostMemory' has no len()")


def values_of(shape: Any) -> tuple[int, ...]:
    """Return a Dims, a tuple or a list as a tuple."""
    return shape._items if isinstance(shape, Dims) else tuple(int(axis) for axis in shape)
