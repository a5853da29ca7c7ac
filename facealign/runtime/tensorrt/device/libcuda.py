"""The back `ctypes`: a `Device` over the CUDA driver alone."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Literal

from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.driver_device import DriverDevice
from facealign.runtime.tensorrt.device.libcuda_objects import (
    CtypesDeviceBuffer,
    CtypesEvent,
    CtypesKernel,
    CtypesPinnedBuffer,
    CtypesStream,
)
from facealign.runtime.tensorrt.device.protocol import DeviceInfo
from facealign.runtime.tensorrt.device.resource import (
    Context,
    Resource,
    checked_size,
    handle_of,
)

__all__ = ["CtypesDevice"]

# Flags and attributes of cuda.h.
_NON_BLOCKING = 1
_NO_TIMING = 2
_PORTABLE, _MAPPED = 1, 2
_INTEGRATED, _MAJOR, _MINOR = 18, 75, 76
_NAME_LENGTH = 256


class CtypesDevice(DriverDevice):
    """A `Device`.

    Args:
        index: Which device, from 0, as CUDA counts them.
        library: Path of the driver; the system's own if None.

    Raises:
        BackendError: If there is no driver or no such device.
    """

    back: Literal["pycuda", "ctypes"] = "ctypes"

    def __init__(self, index: int = 0, *, library: str | None = None) -> None:
        driver = Driver(library)
        driver.call("cuInit", 0)
        ordinal = driver.number("cuDeviceGet", index)
        self.info = _info_of(driver, ordinal)
        super().__init__(driver, _PrimaryContext(driver, ordinal))
        self._modules: dict[bytes, Resource] = {}
        self._loading = Lock()

    def stream(self) -> CtypesStream:
        """Return a new stream that does not wait for the default one."""
        with self._context:
            handle = self._driver.made("cuStreamCreate", _NON_BLOCKING)
            return CtypesStream(self._driver, self._context, handle)

    def event(self, *, timing: bool = False) -> CtypesEvent:
        """Return a new event; only one with `timing` has `elapsed_ms`."""
        with self._context:
            handle = self._driver.made("cuEventCreate", 0 if timing else _NO_TIMING)
            return CtypesEvent(self._driver, self._context, handle)

    def device_buffer(self, size: int) -> CtypesDeviceBuffer:
        """Return `size` bytes, 1 or more, whose content is undefined."""
        with self._context:
            address = self._driver.address("cuMemAlloc_v2", checked_size(size))
            return CtypesDeviceBuffer(self._driver, self._context, address, size)

    def pinned_buffer(self, size: int, *, mapped: bool = False) -> CtypesPinnedBuffer:
        """Return `size` bytes, 1 or more, all 0; `mapped` gives it a `device_address`."""
        flags = _PORTABLE | (_MAPPED if mapped else 0)
        with self._context:
            pointer = self._driver.made("cuMemHostAlloc", checked_size(size), flags)
            buffer = CtypesPinnedBuffer(self._driver, self._context, pointer, size)
            if mapped:
                buffer.map()
            return buffer

    def kernel(self, image: bytes, name: str) -> CtypesKernel:
        """Return a function of a CUBIN or PTX image; an image is loaded once per device."""
        with self._loading, self._context:
            module = self._modules.get(image)
            if module is None:
                handle = self._driver.made("cuModuleLoadData", image)
                unload = partial(self._driver.call, "cuModuleUnload", handle)
                module = self._modules[image] = Resource(self._context, handle, unload)
            function = self._driver.made(
                "cuModuleGetFunction", handle_of(module), name.encode("ascii")
            )
            return CtypesKernel(self._driver, self._context, function)


class _PrimaryContext(Context):
    def __init__(self, driver: Driver, ordinal: int) -> None:
        super().__init__(driver.made("cuDevicePrimaryCtxRetain", ordinal))
        self._driver = driver
        self._ordinal = ordinal

    def __enter__(self) -> None:
        self._driver.call("cuCtxPushCurrent_v2", self.opened())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._driver.made("cuCtxPopCurrent_v2")

    def release(self) -> None:
        if self.handle:
            self.handle = 0
            self._driver.call("cuDevicePrimaryCtxRelease_v2", self._ordinal)


def _info_of(driver: Driver, ordinal: int) -> DeviceInfo:
    name = ctypes.create_string_buffer(_NAME_LENGTH)
    driver.call("cuDeviceGetName", name, _NAME_LENGTH, ordinal)
    memory_bytes = c_size_t()
    driver.call("cuDeviceTotalMem_v2", byref(memory_bytes), ordinal)
    major, minor, integrated = (
        driver.number("cuDeviceGetAttribute", attribute, ordinal)
        for attribute in (_MAJOR, _MINOR, _INTEGRATED)
    )
    version = driver.number("cuDriverGetVersion")
    return DeviceInfo(
        name=name.value.decode(errors="replace"),
        compute_capability=(major, minor),
        is_integrated=bool(integrated),
        memory_bytes=memory_bytes.value,
        driver_version=(version // 1000, version % 1000 // 10),
    )
