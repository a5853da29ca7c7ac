"""The parent's end of a measuring process: ask, wait no longer than so long, end it for sure."""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar, final

import msgspec

import facealign.errors
from facealign.bench.messages import (
    Failed,
    Order,
    Ready,
    Reply,
    TurnDone,
    line_of,
    reply_from_line,
)
from facealign.errors import BackendError, FacealignError

__all__ = ["Child"]

_LONGEST_LINE = 2**26
_LAST_WORDS = 4096
_SHOWN = 60
_LEAVE_S = 5.0
_ReplyT = TypeVar("_ReplyT", bound=Reply)


@final
class Child:
    """One measuring process; a context manager that ends it, however it is left.

    Args:
        command: That runs `worker.serve`.
        first_line: What it opens, without a line feed.
        name: As errors call it.
        environment: All of its variables.

    Attributes:
        name: As errors call it.
        open_s: From nothing until it was ready, once `wait_ready` has returned.
        cpu_s: Processor time of the process, as it last said.
    """

    def __init__(
        self,
        command: Sequence[str],
        first_line: bytes,
        *,
        name: str,
        environment: Mapping[str, str],
    ) -> None:
        self.name = name
        self.open_s = self.cpu_s = 0.0
        self._is_busy = True
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`; a pipe fills up
        self._began = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=dict(environment),
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A pipe cannot be read with a time limit on every system; a queue can.
        threading.Thread(target=self._read, daemon=True).start()
        self._write(first_line + b"\n")

    def wait_ready(self, *, deadline_s: float) -> Ready:
        """Return its first reply.

        Raises:
            FacealignError: What it could not open; or as `ask`.
        """
        ready = self._reply(Ready, deadline_s=deadline_s)
        self.open_s = time.perf_counter() - self._began
        self.cpu_s = ready.cpu_s
        return ready

    def ask(self, order: Order, reply: type[_ReplyT], *, deadline_s: float) -> _ReplyT:
        """Return the answer to an order.

        Raises:
            FacealignError: What the child says went wrong there; `BackendError` if it has died,
                says nothing for so long, or what it says is no answer.
        """
        self._is_busy = True
        self._write(line_of(order))
        found = self._reply(reply, deadline_s=deadline_s)
        if isinstance(found, TurnDone):
            self.cpu_s = found.cpu_s
        return found

    def wish_to_end(self) -> None:
        """Let the process end by itself if it is idle; `close` waits for that."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def close(self) -> None:
        """End the process: with a wish if it is idle, by force if it works or does not listen."""
        self.wish_to_end()
        try:
            if not self._is_busy:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_LEAVE_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._errors.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        # A child that has died is found when it is waited for, with its exit code.
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as stdout:
                while line := stdout.readline(_LONGEST_LINE):
                    self._lines.put(line)
        self._lines.put(b"")

    def _reply(self, wanted: type[_ReplyT], *, deadline_s: float) -> _ReplyT:
        try:
            line = self._lines.get(timeout=deadline_s)
        except queue.Empty:
            raise BackendError(
                f"{self.name} gave no answer within {deadline_s:.0f} s; measure it alone, or with "
                "a smaller `--batch`"
            ) from None
        if not line:
            raise BackendError(self._last_words())
        try:
            reply = reply_from_line(line)
        except msgspec.MsgspecError:
            reply = None
        if isinstance(reply, Failed):
            raise _error_of(reply)
        if not isinstance(reply, wanted):
            shown = line[:_SHOWN].decode("utf-8", "replace").strip()
            raise BackendError(
                f"the process that measures {self.name} printed {shown!r} where its answer should "
                "be; find what prints it, and measure again"
            )
        self._is_busy = False
        return reply

    def _last_words(self) -> str:
        """Return why there is no answer, once the process has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hang when it is left
            self._process.wait(_LEAVE_S)
        self._process.kill()
        code = self._process.wait()
        how = f"exit code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        said = f" after {lines[-1].strip()!r}" if lines else ""
        out_of_memory = -code == getattr(signal, "SIGKILL", 0)
        advice = "it may have run out of memory, so try a smaller `--batch`"
        return (
            f"the process that measures {self.name} ended with {how}{said}; "
            f"{advice if out_of_memory else 'measure it alone to see more'}"
        )


def _error_of(failed: Failed) -> FacealignError:
    """Return the child's error as its own class; as the base if it is none of `errors`."""
    kind = getattr(facealign.errors, failed.error, None)
    if isinstance(kind, type) and issubclass(kind, FacealignError):
        return kind(failed.text)
    return FacealignError(failed.text)
