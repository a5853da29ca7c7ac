"""What TensorRT says while it builds: words for an error, and how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from facealign.errors import BackendError
from facealign.runtime.tensorrt.library import BINDING_ERRORS

__all__ = ["BuildLog", "BuildState", "BuildWatch", "build_logger", "one_line", "progress_monitor"]

logger = logging.getLogger(__name__)
_MAX_ERRORS = 20  # one failure says the same on several levels
_MAX_WORDS = 400


class BuildLog:
    """Errors that TensorRT reported, the first ones."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.errors: list[str] = []

    def note(self, text: str) -> None:
        """Keep what was reported as an error."""
        if len(self.errors) < _MAX_ERRORS:
            self.errors.append(one_line(text))

    def failure(self, job: str, words: str = "") -> BackendError:
        """Return the error for a call that failed: TensorRT's first words on it, and all others."""
        words = words or next(iter(self.errors), "it does not say why")
        advice = "; lower `--workspace-mib` or free memory" if "memory" in words.lower() else ""
        return BackendError(
            f"TensorRT {self.version} cannot {job}: {words}{advice}", items=self.errors[1:]
        )

    @contextmanager
    def failing_to(self, job: str) -> Iterator[None]:
        """Turn what TensorRT raises into our error.

        Raises:
            BackendError: If a call of TensorRT raises.
        """
        try:
            yield
        except BINDING_ERRORS as error:
            raise self.failure(job, one_line(f"{type(error).__name__}: {error}")) from error


@dataclass(frozen=True, slots=True)
class BuildState:
    """How far TensorRT is.

    Attributes:
        phase: The innermost phase, in TensorRT's words.
        fraction: Of the outermost one, 0 to 1; TensorRT may have several in turn.
    """

    phase: str
    fraction: float


@dataclass
class _Phase:
    parent: str | None
    step_count: int
    done: int = 0


class BuildWatch:
    """Phases as they are nested, and whether to go on; told from TensorRT's threads."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, step_count: int) -> None:
        """Open a phase."""
        with self._lock:
            self._phases[name] = _Phase(parent or None, max(1, step_count))

    def step(self, name: str, step: int) -> bool:
        """Note that a step is complete; return whether to go on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
        return not self.cancelled.is_set()

    def finish(self, name: str) -> None:
        """Close a phase."""
        with self._lock:
            self._phases.pop(name, None)

    def state(self) -> BuildState | None:
        """Return how far it is; None between phases."""
        with self._lock:
            roots = [name for name, phase in self._phases.items() if phase.parent is None]
            if not roots:
                return None
            return BuildState(next(reversed(self._phases)), min(1.0, self._fraction(roots[-1])))

    def _fraction(self, name: str) -> float:
        phase = self._phases[name]
        inner = [child for child, each in self._phases.items() if each.parent == name]
        part = max((self._fraction(child) for child in inner), default=0.0)
        return min(1.0, (phase.done + part) / phase.step_count)


def build_logger(trt: ModuleType, log: BuildLog) -> Any:  # noqa: ANN401  # of a class made here
    """Return an `ILogger` that keeps errors in `log`, and hands warnings to Python's logging."""
    error, warning = int(trt.ILogger.ERROR), int(trt.ILogger.WARNING)

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]  # found at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:  # noqa: ANN401
            # An exception would have to pass through C++: int() of an enum and these two do not.
            if int(severity) <= error:
                log.note(msg)
            elif int(severity) == warning:
                logger.info("TensorRT: %s", msg)

    return Logger()


def progress_monitor(trt: ModuleType, watch: BuildWatch) -> Any:  # noqa: ANN401  # likewise
    """Return an `IProgressMonitor` that tells `watch`; None where TensorRT has none, as 8.6."""
    base: Any = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc]  # found at run time
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watch.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return watch.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            watch.finish(phase_name)

    return Monitor()


def one_line(text: str) -> str:
    """Return words of TensorRT as they fit into a message."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_WORDS else f"{line[:_MAX_WORDS]} ..."
