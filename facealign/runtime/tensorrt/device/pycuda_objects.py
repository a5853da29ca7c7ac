"""Streams, events, memory and kernels of the back `pycuda`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device.protocol import Event, KernelArgument, Stream
from facealign.runtime.tensorrt.device.resource import Context, Resource, handle_of

if TYPE_CHECKING:
    import pycuda.driver as cuda

__all__ = [
    "PycudaDeviceBuffer",
    "PycudaEvent",
    "PycudaKernel",
    "PycudaModule",
    "PycudaPinnedBuffer",
    "PycudaStream",
]

_OPEN = -1  # the handle of what is open, where pycuda keeps the real one to itself
_SCALARS: dict[type, Callable[[int | float], np.number]] = {
    ctypes.c_void_p: np.uint64,
    ctypes.c_int32: np.int32,
    ctypes.c_float: np.float32,
    ctypes.c_double: np.float64,
}


class PycudaStream(Resource):
    """A `Stream`; `close` waits for its work, which CUDA itself would let go on."""

    is_stream: ClassVar[bool] = True

    def __init__(self, context: Context, stream: cuda.Stream) -> None:
        super().__init__(context, stream.handle, self._drop)
        self.stream: cuda.Stream = stream

    def synchronize(self) -> None:
        """Wait for everything that was queued."""
        handle_of(self)
        with self._context:
            self.stream.synchronize()

    def _drop(self) -> None:
        stream, self.stream = self.stream, None
        stream.synchronize()  # and here goes the last reference: pycuda frees it


class PycudaEvent(Resource):
    """An `Event`."""

    def __init__(self, context: Context, event: cuda.Event) -> None:
        super().__init__(context, _OPEN, self._drop)
        self._event: cuda.Event = event

    def record(self, stream: Stream) -> None:
        """Set the mark behind what is queued now."""
        handle_of(self)
        with self._context:
            self._event.record(_pycuda_stream(stream))

    def synchronize(self) -> None:
        """Wait until the mark is reached; at once if it was never set."""
        handle_of(self)
        with self._context:
            self._event.synchronize()

    def elapsed_ms(self, since: Event) -> float:
        """Return the time from another mark of the same back; both have been reached."""
        if not isinstance(since, PycudaEvent):
            raise TypeError(f"`since` must be an event of the back `pycuda`, got {since!r}")
        handle_of(since)
        handle_of(self)
        with self._context:
            return float(self._event.time_since(since._event))  # noqa: SLF001  # of its own class

    def _drop(self) -> None:
        self._event = None


class PycudaDeviceBuffer(Resource):
    """A `DeviceBuffer`; `address` and `size` stay as they were when it is closed."""

    def __init__(self, context: Context, memory: cuda.DeviceAllocation, size: int) -> None:
        super().__init__(context, int(memory), memory.free)
        self.address = int(memory)
        self.size = size


class PycudaPinnedBuffer(Resource):
    """A `PinnedBuffer`; `array` is empty when it is closed."""

    def __init__(self, context: Context, array: NDArray[np.uint8]) -> None:
        self._memory = _memory_of(array)
        super().__init__(context, array.ctypes.data, self._memory.free)
        self.device_address: int | None = None
        self.array: NDArray[np.uint8] = array
        self.array.fill(0)

    def map(self) -> None:
        """Ask where the device has it."""
        self.device_address = int(self._memory.get_device_pointer())

    def close(self) -> None:
        """Free the memory."""
        self.array = np.empty(0, dtype=np.uint8)
        super().close()


class PycudaKernel:
    """A `Kernel`; it lives as long as its device."""

    def __init__(self, context: Context, function: cuda.Function) -> None:
        self._context = context
        self._function = function

    def launch(
        self,
        stream: Stream,
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[KernelArgument, ...],
    ) -> None:
        """Queue one run; the arguments are read before this returns."""
        values = [_SCALARS[type(argument)](argument.value or 0) for argument in arguments]
        with self._context:
            self._function(*values, grid=grid, block=block, stream=_pycuda_stream(stream))


class PycudaModule(Resource):
    """A loaded image."""

    def __init__(self, context: Context, module: cuda.Module) -> None:
        super().__init__(context, _OPEN, self._drop)
        self._module: cuda.Module = module

    def function(self, name: str) -> cuda.Function:
        """Return a kernel of it."""
        handle_of(self)
        return self._module.get_function(name)

    def _drop(self) -> None:
        self._module = None


def _pycuda_stream(stream: Stream) -> cuda.Stream:
    """Return what pycuda takes for a stream of this back."""
    handle_of(stream)
    if not isinstance(stream, PycudaStream):
        raise TypeError(f"`stream` must be of the back `pycuda`, got {stream!r}")
    return stream.stream


def _memory_of(array: NDArray[np.uint8]) -> cuda.PagelockedHostAllocation:
    return array.base  # pycuda's own object
