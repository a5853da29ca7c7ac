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
    try:
        thread.start()
        while not runner.done.wait(_POLL_S):
            _tell(watch, on_progress)
    except BaseException:
        watch.cancelled.set()
        runner.call_off()
        raise
    return runner.result()


class _Runner(Generic[_Result]):
    def __init__(self, work: Callable[[], _Result]) -> None:
        self.done = threading.Event()
        self._begins = threading.Lock()  # taken once: by the work, or by who calls it off before
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        if not self._begins.acquire(blocking=False):
            return
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # raised again by `result`, in its thread
            self._error = error
        finally:
            self.done.set()

    def result(self) -> _Result:
        """Return what the work returned, or raise what it raised."""
        if self._error is not None:
            self._let_go()
            raise self._error
        return self._results[0]

    def call_off(self) -> None:
        """Wait until the work has ended, whatever else is signalled, or see that it never begins.

        Nobody may free what TensorRT still uses.
        """
        has_begun = not self._begins.acquire(blocking=False)
        while has_begun and not self.done.is_set():
            with suppress(KeyboardInterrupt, SystemExit):
                self.done.wait()
        self._let_go()

    def _let_go(self) -> None:
        """Free what the frames of the finished thread hold: a builder has memory of the GPU."""
        error = self._error
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__


def _tell(watch: BuildWatch, on_progress: Callable[[BuildState], None] | None) -> None:
    state = watch.state()
    if state is not None and on_progress is not None:
        on_progress(state)
