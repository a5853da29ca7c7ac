"""Streams, events, memory and kernels of the back `ctypes`."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_float, c_void_p
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.protocol import Event, KernelArgument, Stream
from facealign.runtime.tensorrt.device.resource import Context, Resource, close_all, handle_of

__all__ = [
    "CtypesDeviceBuffer",
    "CtypesEvent",
    "CtypesKernel",
    "CtypesPinnedBuffer",
    "CtypesStream",
]


class CtypesStream(Resource):
    """A `Stream`; `close` waits for its work, which CUDA itself would let go on."""

    is_stream: ClassVar[bool] = True

    def __init__(self, driver: Driver, context: Context, handle: int) -> None:
        wait = partial(driver.call, "cuStreamSynchronize", handle)
        destroy = partial(driver.call, "cuStreamDestroy_v2", handle)
        super().__init__(context, handle, partial(close_all, (wait, destroy)))
        self._driver = driver

    def synchronize(self) -> None:
        """Wait for everything that was queued."""
        with self._context:
            self._driver.call("cuStreamSynchronize", handle_of(self))


class CtypesEvent(Resource):
    """An `Event`."""

    def __init__(self, driver: Driver, context: Context, handle: int) -> None:
        super().__init__(context, handle, partial(driver.call, "cuEventDestroy_v2", handle))
        self._driver = driver

    def record(self, stream: Stream) -> None:
        """Set the mark behind what is queued now."""
        with self._context:
            self._driver.call("cuEventRecord", handle_of(self), handle_of(stream))

    def synchronize(self) -> None:
        """Wait until the mark is reached; at once if it was never set."""
        with self._context:
            self._driver.call("cuEventSynchronize", handle_of(self))

    def elapsed_ms(self, since: Event) -> float:
        """Return the time from another mark of the same back; both have been reached."""
        if not isinstance(since, CtypesEvent):
            raise TypeError(f"`since` must be an event of the back `ctypes`, got {since!r}")
        elapsed = c_float()
        with self._context:
            self._driver.call(
                "cuEventElapsedTime", byref(elapsed), handle_of(since), handle_of(self)
            )
        return elapsed.value


class CtypesDeviceBuffer(Resource):
    """A `DeviceBuffer`; `address` and `size` stay as they were when it is closed."""

    def __init__(self, driver: Driver, context: Context, address: int, size: int) -> None:
        super().__init__(context, address, partial(driver.call, "cuMemFree_v2", address))
        self.address = address
        self.size = size


class CtypesPinnedBuffer(Resource):
    """A `PinnedBuffer`; `array` is empty when it is closed."""

    def __init__(self, driver: Driver, context: Context, pointer: int, size: int) -> None:
        super().__init__(context, pointer, partial(driver.call, "cuMemFreeHost", pointer))
        self._driver = driver
        self.device_address: int | None = None
        memory = (ctypes.c_uint8 * size).from_address(pointer)
        self.array: NDArray[np.uint8] = np.ctypeslib.as_array(memory)
        self.array.fill(0)

    def map(self) -> None:
        """Ask where the device has it."""
        self.device_address = self._driver.address(
            "cuMemHostGetDevicePointer_v2", handle_of(self), 0
        )

    def close(self) -> None:
        """Free the memory."""
        self.array = np.empty(0, dtype=np.uint8)
        super().close()


class CtypesKernel:
    """A `Kernel`; it lives as long as its device."""

    def __init__(self, driver: Driver, context: Context, handle: int) -> None:
        self._driver = driver
        self._context = context
        self._handle = handle

    def launch(
        self,
        stream: Stream,
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[KernelArgument, ...],
    ) -> None:
        """Queue one run; the arguments are read before this returns."""
        pointers = (c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        shared_bytes = 0
        with self._context:
            self._driver.call(
                "cuLaunchKernel",
                self._handle,
                *grid,
                *block,
                shared_bytes,
                handle_of(stream),
                pointers,
                None,
            )
