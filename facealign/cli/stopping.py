"""Ctrl-C and SIGTERM: what is half-written is removed, and the exit code tells."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType

__all__ = ["STOPPED", "catch_signals", "check_stopped", "stop_code"]

# By exit code: 128 + number of the signal, as shells have it.
STOPPED = {128 + signal.SIGINT: "interrupted", 128 + signal.SIGTERM: "terminated"}
_received: list[int] = []


def catch_signals() -> None:
    """Make SIGINT and SIGTERM unwind the program, and SIGPIPE end it in silence."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        return  # Python sets signals in the main thread only
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    if hasattr(signal, "SIGPIPE"):  # `facealign inspect FILE | head -1`; Windows has none
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def stop_code() -> int | None:
    """Return the exit code of a signal that came, or None.

    Asked after the fact too: where a signal falls into an import of torch 2.13, it is swallowed, or
    comes out as an error of an export that found the module half imported.
    """
    return 128 + _received[0] if _received else None


def check_stopped() -> None:
    """Exit if a signal came, even if a library swallowed it."""
    if _received:
        sys.exit(stop_code())


def _stop(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    check_stopped()
