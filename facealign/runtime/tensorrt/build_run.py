"""Run the builder where Ctrl-C reaches it: minutes in C++ must not be minutes without an answer."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from facealign.runtime.tensorrt.build_log import BuildState, BuildWatch

__all__ = ["run_watched"]

_Result = TypeVar("_Result")
_POLL_S = 0.1


def run_watched(
    work: Callable[[], _Result],
    watch: BuildWatch,
    on_progress: Callable[[BuildState], None] | None,
) -> _Result:
    """Return what `work` returns, run in a thread of its own.

    Python gives a signal to the main thread, and only between two of its instructions. So that is
    where it waits; an exception from there, or from `on_progress`, cancels the build, waits until
    TensorRT has stopped, and goes on.
    """
    runner = _Runner(work)
    thread = threading.Thread(target=runner.run, name="tensorrt-build")
    thread.start()
    try:
        while not runner.done.wait(_POLL_S):
            _tell(watch, on_progress)
    except BaseException:
        watch.cancelled.set()
        _join(runner)
        raise
    return runner.result()


class _Runner(Generic[_Result]):
    def __init__(self, work: Callable[[], _Result]) -> None:
        self.done = threading.Event()
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # raised again by `result`, in its thread
            self._error = error
        finally:
            self.done.set()

    def result(self) -> _Result:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            _let_go(self._error)
            raise self._error
        return self._results[0]


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of a finished thread hold: a builder has memory of the GPU."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _tell(watch: BuildWatch, on_progress: Callable[[BuildState], None] | None) -> None:
    state = watch.state()
    if state is not None and on_progress is not None:
        on_progress(state)


def _join(runner: _Runner[_Result]) -> None:
    """Wait, whatever else is signalled: nobody may free what TensorRT still uses."""
    while not runner.done.is_set():
        with suppress(KeyboardInterrupt, SystemExit):
            runner.done.wait()
