"""What the engine needs of a CUDA device; the backs `pycuda` and `ctypes` offer exactly this.

Every object frees what it holds by `close`, once; a second call does nothing. All of them belong to
the primary context of their device, so that they live beside those of other libraries. Every call
that CUDA answers with an error raises `BackendError` with the name of the call and CUDA's words.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CapturedGraph",
    "Device",
    "DeviceBuffer",
    "DeviceInfo",
    "Event",
    "Kernel",
    "KernelArgument",
    "PinnedBuffer",
    "Stream",
]

# Passed by value, as the kernel declares it.
KernelArgument = ctypes.c_void_p | ctypes.c_int32 | ctypes.c_float | ctypes.c_double


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device is.

    Attributes:
        name: As the driver has it, such as ``Orin``.
        compute_capability: Such as ``(8, 7)``.
        is_integrated: Whether it shares its memory with the CPU, as on a Jetson.
        memory_bytes: All of it.
        driver_version: Of CUDA, such as ``(12, 6)``.
    """

    name: str
    compute_capability: tuple[int, int]
    is_integrated: bool
    memory_bytes: int
    driver_version: tuple[int, int]


class Stream(Protocol):
    """A queue of work, never the default one. `handle` is a ``CUstream``."""

    handle: int

    def synchronize(self) -> None:
        """Wait for everything that was queued."""
        ...

    def close(self) -> None:
        """Free the stream."""
        ...


class Event(Protocol):
    """A mark in a stream."""

    def record(self, stream: Stream) -> None:
        """Set the mark behind what is queued now."""
        ...

    def synchronize(self) -> None:
        """Wait until the mark is reached; at once if it was never set."""
        ...

    def elapsed_ms(self, since: Event) -> float:
        """Return the time from another mark of the same back; both have been reached."""
        ...

    def close(self) -> None:
        """Free the event."""
        ...


class DeviceBuffer(Protocol):
    """`size` bytes of the device's memory at `address`."""

    address: int
    size: int

    def close(self) -> None:
        """Free the memory."""
        ...


class PinnedBuffer(Protocol):
    """Memory of the CPU that the device reaches.

    Attributes:
        array: ``(size,)`` uint8, the memory itself; not to be touched after `close`.
        device_address: Where a kernel finds it, if it is mapped, else None.
    """

    array: NDArray[np.uint8]
    device_address: int | None

    def close(self) -> None:
        """Free the memory."""
        ...


class CapturedGraph(Protocol):
    """Work that was captured from a stream, ready to be queued in one call."""

    def launch(self, stream: Stream) -> None:
        """Queue the work."""
        ...

    def close(self) -> None:
        """Free the graph."""
        ...


class Kernel(Protocol):
    """A function of a loaded module."""

    def launch(
        self,
        stream: Stream,
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[KernelArgument, ...],
    ) -> None:
        """Queue one run; the arguments are read before this returns."""
        ...


class Device(Protocol):
    """One device and its primary context; `close` gives the context back."""

    back: Literal["pycuda", "ctypes"]
    info: DeviceInfo

    def stream(self) -> Stream:
        """Return a new stream that does not wait for the default one."""
        ...

    def event(self, *, timing: bool = False) -> Event:
        """Return a new event; only one with `timing` has `elapsed_ms`."""
        ...

    def device_buffer(self, size: int) -> DeviceBuffer:
        """Return `size` bytes, 1 or more, whose content is undefined."""
        ...

    def pinned_buffer(self, size: int, *, mapped: bool = False) -> PinnedBuffer:
        """Return `size` bytes, 1 or more, all 0; `mapped` gives it a `device_address`."""
        ...

    def copy_to_device(
        self, target: int, source: PinnedBuffer, *, size: int, stream: Stream
    ) -> None:
        """Queue a copy of the first `size` bytes to an address of the device."""
        ...

    def copy_to_host(self, target: PinnedBuffer, source: int, *, size: int, stream: Stream) -> None:
        """Queue a copy of `size` bytes from an address of the device."""
        ...

    def capture(self, stream: Stream, enqueue: Callable[[], None]) -> CapturedGraph:
        """Return as a graph what `enqueue` queues on `stream`; nothing of it is run.

        Raises:
            BackendError: If something in it cannot be captured. The stream can be used as before.
        """
        ...

    def kernel(self, image: bytes, name: str) -> Kernel:
        """Return a function of a CUBIN or PTX image; an image is loaded once per device."""
        ...

    def make_current(self) -> None:
        """Make the context current in the calling thread; TensorRT asks for it."""
        ...

    def close(self) -> None:
        """Free loaded images, and give the primary context back."""
        ...
