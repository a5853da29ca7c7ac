"""How many threads an engine takes."""

from __future__ import annotations

import os

__all__ = ["session_threads"]


def session_threads(threads: int | None) -> int:
    """Return `threads`, or what ``OMP_NUM_THREADS`` says, or 0 for what the engine takes by itself.

    ONNX Runtime and OpenVINO ignore that variable. ONNX Runtime counts the cores of the host, in a
    container too; its threads then spin on each other's cores. PyTorch obeys it, so one variable
    sets all.
    """
    if threads:
        return threads
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else 0
