"""What both backs do through the driver, by the handles of their streams."""

from __future__ import annotations

from collections.abc import Callable

from facealign.runtime.tensorrt.device.capture import DriverGraph, capture_graph
from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.protocol import PinnedBuffer, Stream
from facealign.runtime.tensorrt.device.resource import Context, checked_view, handle_of

__all__ = ["DriverDevice"]


class DriverDevice:
    """The part of a `Device` that is the same for every back."""

    def __init__(self, driver: Driver, context: Context) -> None:
        self._driver = driver
        self._context = context

    def copy_to_device(
        self, target: int, source: PinnedBuffer, *, size: int, stream: Stream
    ) -> None:
        """Queue a copy of the first `size` bytes to an address of the device."""
        pointer = checked_view(source, size).ctypes.data
        with self._context:
            self._driver.call("cuMemcpyHtoDAsync_v2", target, pointer, size, handle_of(stream))

    def copy_to_host(self, target: PinnedBuffer, source: int, *, size: int, stream: Stream) -> None:
        """Queue a copy of `size` bytes from an address of the device."""
        pointer = checked_view(target, size).ctypes.data
        with self._context:
            self._driver.call("cuMemcpyDtoHAsync_v2", pointer, source, size, handle_of(stream))

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> DriverGraph:
        """Return as a graph what `enqueue` queues on `stream`; nothing of it is run."""
        return capture_graph(self._driver, self._context, stream, enqueue)

    def make_current(self) -> None:
        """Make the context current in the calling thread; TensorRT asks for it."""
        # Not by pycuda's own stack: it ends the process if a thread leaves something on that.
        self._driver.call("cuCtxSetCurrent", self._context.opened())

    def close(self) -> None:
        """Free whatever is open on this device, and give the primary context back."""
        self._context.close()
