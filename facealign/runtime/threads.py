"""How many threads an engine takes where the caller does not say."""

from __future__ import annotations

import os

__all__ = ["threads_of_environment"]


def threads_of_environment() -> int:
    """Return what ``OMP_NUM_THREADS`` says, or 0 for as many as the engine takes by itself.

    ONNX Runtime and OpenVINO ignore that variable. ONNX Runtime counts the cores of the host, in a
    container too; its threads then spin on each other's cores. PyTorch obeys it, so one variable
    sets all.
    """
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() else 0
