"""The back `pycuda`: a `Device` over that package; copies and graphs are the driver's own."""

from __future__ import annotations

from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np

from facealign.errors import BackendError, MissingLibraryError
from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.driver_device import DriverDevice
from facealign.runtime.tensorrt.device.protocol import DeviceInfo
from facealign.runtime.tensorrt.device.pycuda_context import RetainedContext, translated
from facealign.runtime.tensorrt.device.pycuda_objects import (
    PycudaDeviceBuffer,
    PycudaEvent,
    PycudaKernel,
    PycudaModule,
    PycudaPinnedBuffer,
    PycudaStream,
)
from facealign.runtime.tensorrt.device.resource import checked_size

if TYPE_CHECKING:
    import pycuda.driver as cuda

__all__ = ["PycudaDevice"]

_OLDEST = (2025, 1, 2)  # the first that compiles against CUDA 13 (inducer/pycuda#485)
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING; pycuda passes the number on


class PycudaDevice(DriverDevice):
    """A `Device`.

    pycuda has no error to raise when it cannot free a thing: it writes a line to stderr.

    Args:
        index: Which device, from 0, as CUDA counts them.

    Raises:
        MissingLibraryError: If pycuda is not installed.
        BackendError: If it is too old, or there is no driver or no such device.
    """

    back: Literal["pycuda", "ctypes"] = "pycuda"

    def __init__(self, index: int = 0) -> None:
        self._cuda = _imported()
        driver = Driver()  # the same library, that pycuda has loaded already
        try:
            self._cuda.init()
            self.info = _info_of(self._cuda, self._cuda.Device(index))
            super().__init__(driver, RetainedContext(self._cuda, driver, index))
        except self._cuda.Error as error:
            raise translated(error) from error
        self._modules: dict[bytes, PycudaModule] = {}
        self._loading = Lock()

    def stream(self) -> PycudaStream:
        """Return a new stream that does not wait for the default one."""
        with self._context:
            return PycudaStream(self._context, self._cuda.Stream(_NON_BLOCKING))

    def event(self, *, timing: bool = False) -> PycudaEvent:
        """Return a new event; only one with `timing` has `elapsed_ms`."""
        flags = self._cuda.event_flags
        with self._context:
            event = self._cuda.Event(flags.DEFAULT if timing else flags.DISABLE_TIMING)
            return PycudaEvent(self._context, event)

    def device_buffer(self, size: int) -> PycudaDeviceBuffer:
        """Return `size` bytes, 1 or more, whose content is undefined."""
        with self._context:
            return PycudaDeviceBuffer(self._context, self._cuda.mem_alloc(checked_size(size)), size)

    def pinned_buffer(self, size: int, *, mapped: bool = False) -> PycudaPinnedBuffer:
        """Return `size` bytes, 1 or more, all 0; `mapped` gives it a `device_address`."""
        flags = self._cuda.host_alloc_flags
        wanted = flags.PORTABLE | (flags.DEVICEMAP if mapped else 0)
        with self._context:
            array = self._cuda.pagelocked_empty(checked_size(size), np.uint8, mem_flags=wanted)
            buffer = PycudaPinnedBuffer(self._context, array)
            if mapped:
                buffer.map()
            return buffer

    def kernel(self, image: bytes, name: str) -> PycudaKernel:
        """Return a function of a CUBIN or PTX image; an image is loaded once per device."""
        with self._loading, self._context:
            module = self._modules.get(image)
            if module is None:
                loaded = self._cuda.module_from_buffer(image + b"\0")
                module = self._modules[image] = PycudaModule(self._context, loaded)
            return PycudaKernel(self._context, module.function(name))


def _imported() -> ModuleType:
    try:
        import pycuda
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            '`pycuda` is not installed; `pip install "facealign[trt]"`, or pass `back="ctypes"`, '
            "which needs no package"
        ) from error
    if pycuda.VERSION < _OLDEST:
        raise BackendError(
            f"`pycuda` is {pycuda.VERSION_TEXT}, and 2025.1.2 is the oldest that works; "
            "`pip install -U pycuda`"
        )
    try:
        import pycuda.driver
    except ImportError as error:  # numpy is gone, or the driver is
        raise BackendError(
            f"`pycuda` cannot be imported ({error}); install NVIDIA's driver, or build pycuda "
            "again for this Python"
        ) from error
    return pycuda.driver  # type: ignore[no-any-return]  # pycuda has no types


def _info_of(loaded: ModuleType, device: cuda.Device) -> DeviceInfo:
    version = loaded.get_driver_version()
    integrated = device.get_attribute(loaded.device_attribute.INTEGRATED)
    return DeviceInfo(
        name=device.name(),
        compute_capability=tuple(device.compute_capability()),
        is_integrated=bool(integrated),
        memory_bytes=device.total_memory(),
        driver_version=(version // 1000, version % 1000 // 10),
    )
