"""The CUDA device as the engine sees it: one protocol, and the backs `pycuda` and `ctypes`."""

from __future__ import annotations

from facealign.runtime.tensorrt.device.open import Back, open_device
from facealign.runtime.tensorrt.device.protocol import (
    CapturedGraph,
    Device,
    DeviceBuffer,
    DeviceInfo,
    Event,
    Kernel,
    KernelArgument,
    PinnedBuffer,
    Stream,
)

__all__ = [
    "Back",
    "CapturedGraph",
    "Device",
    "DeviceBuffer",
    "DeviceInfo",
    "Event",
    "Kernel",
    "KernelArgument",
    "PinnedBuffer",
    "Stream",
    "open_device",
]
