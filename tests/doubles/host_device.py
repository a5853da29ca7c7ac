"""A `Device` whose memory is the host's and whose streams run when somebody waits for them.

It stands for a CUDA device where there is no C compiler. Nothing runs before it is waited for, new
memory is full of rubbish, and every use of freed memory, of another stream or of a copy beyond the
end is an error: what is forgotten shows.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import (
    DeviceInfo,
    Event,
    Kernel,
    KernelArgument,
    PinnedBuffer,
    Stream,
)

__all__ = ["HostDevice", "HostEvent", "HostGraph", "HostStream"]

Work = Callable[[], None]
_ALIGNMENT = 256
_RUBBISH = 0xCD


class HostDevice:
    """See `facealign.runtime.tensorrt.device.Device`; also the `Cuda` of the TensorRT double.

    Attributes:
        calls: Every call so far; `fail_at` is the index of the one that raises, or None.
        created: How many of each thing there were; `live` how many there are.
        can_capture: Whether capture works.
        on_free: Told of everything that is freed.
    """

    back: Literal["pycuda", "ctypes"] = "ctypes"

    def __init__(self, *, is_integrated: bool = False) -> None:
        self.info = DeviceInfo("host double", (8, 7), is_integrated, 8 << 30, (12, 6))
        self.calls: list[str] = []
        self.created: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self.fail_at: int | None = None
        self.can_capture = True
        self.is_closed = False
        self.on_free: Callable[[str], None] = lambda _: None
        self.kernels: dict[str, Callable[..., None]] = {}
        self._memory: dict[int, NDArray[np.uint8]] = {}
        self._streams: dict[int, HostStream] = {}
        self._handles = itertools.count(0x1000, 16)

    def things_alive(self) -> dict[str, int]:
        return {name: count for name, count in self.live.items() if count}

    def count(self, call: str) -> None:
        """Note a call.

        Raises:
            BackendError: If it is the one to fail.
        """
        fails = self.fail_at is not None and len(self.calls) == self.fail_at
        self.calls.append(call)
        if fails:
            raise BackendError(f"{call} failed: CUDA_ERROR_UNKNOWN: the double was told to fail")

    def born(self, kind: str) -> None:
        self.created[kind] += 1
        self.live[kind] += 1

    def died(self, kind: str) -> None:
        self.live[kind] -= 1
        self.on_free(kind)

    def stream(self) -> HostStream:
        self.count("cuStreamCreate")
        stream = HostStream(self, next(self._handles))
        self._streams[stream.handle] = stream
        return stream

    def forget_stream(self, handle: int) -> None:
        del self._streams[handle]

    def event(self, *, timing: bool = False) -> HostEvent:
        self.count("cuEventCreate")
        return HostEvent(self)

    def device_buffer(self, size: int) -> HostMemory:
        self.count("cuMemAlloc")
        return HostMemory(self, size, "device", is_mapped=True)

    def pinned_buffer(self, size: int, *, mapped: bool = False) -> HostMemory:
        self.count("cuMemHostAlloc")
        return HostMemory(self, size, "pinned", is_mapped=mapped)

    def allocate(self, size: int, *, fill: int, is_mapped: bool) -> tuple[int, NDArray[np.uint8]]:
        raw = np.full(size + _ALIGNMENT, fill, np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        array = raw[start : start + size]
        address = int(array.ctypes.data)
        if is_mapped:
            self._memory[address] = array
        return address, array

    def free(self, address: int) -> None:
        self._memory.pop(address, None)

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        for start, array in self._memory.items():
            if start <= address and address + size <= start + len(array):
                return array[address - start : address - start + size]
        raise ValueError(f"CUDA_ERROR_ILLEGAL_ADDRESS: {size} bytes at {address:#x}")

    def enqueue(self, stream_handle: int, work: Work) -> None:
        if stream_handle not in self._streams:
            raise ValueError(f"CUDA_ERROR_INVALID_HANDLE: no stream {stream_handle:#x}")
        self._streams[stream_handle].push(work)

    def copy_to_device(
        self, target: int, source: PinnedBuffer, *, size: int, stream: Stream
    ) -> None:
        self.count("cuMemcpyHtoDAsync")
        self.view(target, size)
        # Looked up again when it runs: a graph may outlive its memory.
        self.enqueue(stream.handle, lambda: np.copyto(self.view(target, size), source.array[:size]))

    def copy_to_host(self, target: PinnedBuffer, source: int, *, size: int, stream: Stream) -> None:
        self.count("cuMemcpyDtoHAsync")
        self.view(source, size)
        self.enqueue(stream.handle, lambda: np.copyto(target.array[:size], self.view(source, size)))

    def capture(self, stream: Stream, enqueue: Work) -> HostGraph:
        self.count("cuStreamBeginCapture")
        queue = self._streams[stream.handle]
        queue.captured = []
        try:
            enqueue()
            if not self.can_capture:
                raise BackendError(
                    "cuStreamEndCapture failed: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
                )
            self.count("cuStreamEndCapture")
            return HostGraph(self, queue.captured)
        finally:
            queue.captured = None

    def kernel(self, image: bytes, name: str) -> Kernel:
        self.count("cuModuleGetFunction")
        if name not in self.kernels:
            raise BackendError("cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND")
        return HostKernel(self, self.kernels[name])

    def make_current(self) -> None:
        self.count("cuCtxSetCurrent")

    def close(self) -> None:
        self.is_closed = True


class HostMemory:
    """A device or pinned buffer."""

    def __init__(self, device: HostDevice, size: int, kind: str, *, is_mapped: bool) -> None:
        self.size = size
        self._device, self._kind = device, kind
        fill = _RUBBISH if kind == "device" else 0
        self.address, self.array = device.allocate(size, fill=fill, is_mapped=is_mapped)
        self.device_address = self.address if is_mapped else None
        self._is_open = True
        device.born(kind)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.array = np.empty(0, np.uint8)
            self._device.free(self.address)
            self._device.died(self._kind)


class HostStream:
    """Work that waits."""

    def __init__(self, device: HostDevice, handle: int) -> None:
        self.handle = handle
        self.captured: list[Work] | None = None
        self.queued: list[Work] = []
        self._device = device
        self._is_open = True
        device.born("stream")

    def push(self, work: Work) -> None:
        (self.queued if self.captured is None else self.captured).append(work)

    def run_until(self, mark: Work | None) -> None:
        """Run what was queued, up to a mark."""
        while self.queued:
            work = self.queued.pop(0)
            work()
            if work is mark:
                return

    def synchronize(self) -> None:
        self._device.count("cuStreamSynchronize")
        if self.captured is not None:
            raise BackendError("cuStreamSynchronize failed: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED")
        self.run_until(None)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.queued.clear()
            self._device.forget_stream(self.handle)
            self._device.died("stream")


class HostEvent:
    """A mark in a stream."""

    def __init__(self, device: HostDevice) -> None:
        self._device = device
        self._stream: HostStream | None = None
        self._mark: Work | None = None
        self._is_open = True
        device.born("event")

    def record(self, stream: Stream) -> None:
        self._device.count("cuEventRecord")
        if not isinstance(stream, HostStream):
            raise TypeError("a stream of another device")
        self._stream, self._mark = stream, lambda: None
        stream.push(self._mark)

    def synchronize(self) -> None:
        self._device.count("cuEventSynchronize")
        if self._stream is not None and self._mark in self._stream.queued:
            self._stream.run_until(self._mark)

    def elapsed_ms(self, since: Event) -> float:
        return 1.0

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._device.died("event")


class HostGraph:
    """Captured work."""

    def __init__(self, device: HostDevice, work: list[Work]) -> None:
        self._device, self._work = device, list(work)
        self._is_open = True
        device.born("graph")

    def launch(self, stream: Stream) -> None:
        self._device.count("cuGraphLaunch")
        if not self._is_open:
            raise BackendError("cuGraphLaunch failed: CUDA_ERROR_INVALID_VALUE")
        for work in self._work:
            self._device.enqueue(stream.handle, work)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._work.clear()
            self._device.died("graph")


class HostKernel:
    """A Python function that stands for a kernel."""

    def __init__(self, device: HostDevice, function: Callable[..., None]) -> None:
        self._device, self._function = device, function

    def launch(
        self,
        stream: Stream,
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[KernelArgument, ...],
    ) -> None:
        self._device.count("cuLaunchKernel")
        values = [argument.value for argument in arguments]
        self._device.enqueue(stream.handle, lambda: self._function(*values))
