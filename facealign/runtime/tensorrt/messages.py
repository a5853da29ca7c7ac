"""What TensorRT says, turned into our errors and our log."""

from __future__ import annotations

import logging
import threading
from collections import deque
from types import ModuleType
from typing import Any

from facealign.errors import BackendError

__all__ = ["Messages"]

_logger = logging.getLogger(__name__)
_KEPT = 16  # the last words matter; a build can say thousands


class Messages:
    """A logger and an error recorder for TensorRT, and what both heard.

    Errors are kept for the exception that follows them. Warnings go to our log as INFO: TensorRT
    also warns of what is meant, and Python prints warnings where nobody set up a log.

    Attributes:
        logger: To be given to `Runtime` or `Builder`.
        recorder: To be set as ``error_recorder`` of everything that has one.
    """

    def __init__(self, trt: ModuleType) -> None:
        self._lock = threading.Lock()
        self._recorded: deque[str] = deque(maxlen=_KEPT)
        self._logged: deque[str] = deque(maxlen=_KEPT)
        self.logger: Any = _logger_class(trt)(self._log)
        self.recorder: Any = _recorder_class(trt)(self._recorded, self._lock)

    def take(self) -> str:
        """Return what was said of errors since the last call, on one line, and forget it."""
        with self._lock:
            # The logger hears the same again, with TensorRT's source files around it.
            heard = list(self._recorded) or list(self._logged)
            self._recorded.clear()
            self._logged.clear()
        return "; ".join(dict.fromkeys(" ".join(text.split()) for text in heard))

    def failure(self, what: str, *, cause: Exception | None = None) -> BackendError:
        """Return the error to raise when TensorRT could not do `what`.

        Args:
            what: Such as ``open the plan``.
            cause: What the bindings raised, if they did.
        """
        said = self.take() or (" ".join(str(cause).split()) if cause else "it does not say why")
        return BackendError(f"TensorRT cannot {what}: {said}")

    def _log(self, level: int, text: str, *, is_error: bool) -> None:
        if is_error:
            with self._lock:
                self._logged.append(text)
        _logger.log(level, "%s", text)


def _logger_class(trt: ModuleType) -> Any:  # noqa: ANN401  # a class of the module in hand
    severity = trt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.INFO,
        severity.ERROR: logging.INFO,
        severity.WARNING: logging.INFO,
        severity.INFO: logging.DEBUG,
    }
    errors = (severity.INTERNAL_ERROR, severity.ERROR)

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]  # a module without types
        def __init__(self, log: Any) -> None:  # noqa: ANN401
            trt.ILogger.__init__(self)
            self._log = log

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            level = levels.get(severity)
            if level is not None:  # what is left is VERBOSE: a line per tactic
                self._log(level, msg, is_error=severity in errors)

    return Logger


def _recorder_class(trt: ModuleType) -> Any:  # noqa: ANN401  # a class of the module in hand
    class Recorder(trt.IErrorRecorder):  # type: ignore[misc, name-defined]  # a module without types
        """TensorRT calls it from threads of its own."""

        def __init__(self, texts: deque[str], lock: threading.Lock) -> None:
            trt.IErrorRecorder.__init__(self)
            self._texts, self._lock = texts, lock

        def report_error(self, code: Any, desc: str) -> bool:  # noqa: ANN401
            with self._lock:
                self._texts.append(f"{getattr(code, 'name', code)}: {desc}")
            return False  # not fatal: what follows from it is decided here

        def num_errors(self) -> int:
            return len(self._texts)

        def get_error_code(self, _: int) -> Any:  # noqa: ANN401
            return trt.ErrorCodeTRT.UNSPECIFIED_ERROR

        def get_error_desc(self, index: int) -> str:
            return self._texts[index]

        def has_overflowed(self) -> bool:
            return len(self._texts) == _KEPT

        def clear(self) -> None:
            with self._lock:
                self._texts.clear()

    return Recorder
