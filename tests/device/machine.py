"""The machine that the suite runs on: its GPU, or the doubles, on which the suite tests itself.

`FACEALIGN_DEVICE_DOUBLE=1` asks for the doubles; then nothing that is found is about a GPU.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import ModuleType

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Back, Device, DeviceInfo, open_device
from facealign.runtime.tensorrt.device.driver import default_library
from facealign.runtime.tensorrt.kernels import compiled_kernels
from facealign.runtime.tensorrt.library import import_tensorrt
from tests.doubles.cuda import Double, NvrtcDouble
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble

__all__ = ["ASKED", "Machine", "has", "this_machine"]

ASKED = "FACEALIGN_DEVICE_DOUBLE"


class Machine:
    """How the suite reaches CUDA, a compiler and TensorRT.

    Args:
        library: Path of the driver; the system's own if None.
        nvrtc: Path of NVRTC; likewise.
    """

    is_double = False

    def __init__(self, library: str | None = None, nvrtc: str | None = None) -> None:
        self._library = library
        self._nvrtc = nvrtc

    @contextmanager
    def device(self, back: Back) -> Iterator[Device]:
        """Open the first device."""
        with closing(open_device(back=back, library=self._library)) as device:
            yield device

    def image(self, source: str, info: DeviceInfo) -> bytes:
        """Return kernels compiled for a device."""
        return compiled_kernels(source, info, library=self._nvrtc)

    def free_bytes(self, device: Device) -> int:
        """Return how much memory the device has left, for all that run on it."""
        device.make_current()
        library = ctypes.CDLL(self._library or default_library())
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        if library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)):
            raise BackendError("`cuMemGetInfo_v2` failed")
        return free.value

    def tensorrt(self) -> ModuleType:
        """Return TensorRT's module."""
        return import_tensorrt()


class DoubleMachine(Machine):
    """The doubles of libcuda, NVRTC and TensorRT."""

    is_double = True

    def __init__(self) -> None:
        self._double = Double()
        self._double.reset()
        super().__init__(str(self._double.path), str(NvrtcDouble().path))

    def tensorrt(self) -> ModuleType:
        """Return the double, which the engine is to find too."""
        return TensorrtDouble("10.3", LibcudaMemory(self._double)).module


def this_machine() -> Machine:
    """Return the machine.

    Raises:
        BackendError: If it has no GPU that works.
    """
    machine = DoubleMachine() if os.environ.get(ASKED) else Machine()
    with machine.device("ctypes"):
        return machine


def has(module: str) -> bool:
    """Return whether a package can be imported."""
    return importlib.util.find_spec(module) is not None
