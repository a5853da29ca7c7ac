"""Memory for what goes to the device or comes from it: the CPU's, and the device's if another."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, DeviceBuffer, PinnedBuffer, Stream
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan
from facealign.spec import TensorSpec

__all__ = ["Staged", "StagedBytes"]


class StagedBytes:
    """Bytes on both sides; on an integrated GPU they are the same, mapped.

    Attributes:
        address: Where the device finds them.

    Args:
        device: Outlives this.
        size: How many, 1 or more.
        stack: Frees them.

    Raises:
        BackendError: If there is no memory.
    """

    def __init__(self, device: Device, size: int, stack: ExitStack) -> None:
        is_integrated = device.info.is_integrated
        self._device = device
        self._pinned: PinnedBuffer = device.pinned_buffer(size, mapped=is_integrated)
        stack.callback(self._pinned.close)
        self._buffer: DeviceBuffer | None = None
        if is_integrated:
            self.address = _mapped_address(self._pinned)
        else:
            self._buffer = device.device_buffer(size)
            stack.callback(self._buffer.close)
            self.address = self._buffer.address

    @property
    def array(self) -> NDArray[np.uint8]:
        """``(size,)`` uint8 in the CPU's memory; empty once they are freed."""
        return self._pinned.array

    def copy_in(self, stream: Stream, size: int) -> None:
        """Queue the copy of the first `size` to the device, if there is a copy to make."""
        if self._buffer is not None:
            self._device.copy_to_device(self.address, self._pinned, size=size, stream=stream)

    def copy_out(self, stream: Stream, size: int) -> None:
        """Queue the copy of the first `size` from the device, if there is a copy to make."""
        if self._buffer is not None:
            self._device.copy_to_host(self._pinned, self.address, size=size, stream=stream)


class Staged:
    """Memory for the largest batch of one input or output.

    Attributes:
        array: ``(max_batch, ...)``, in the CPU's memory.
        address: Where TensorRT finds it.
    """

    def __init__(self, plan: LoadedPlan, spec: TensorSpec, stack: ExitStack) -> None:
        shape = (plan.contract.max_batch, *(int(axis) for axis in spec.shape[1:]))
        dtype = np.dtype(spec.dtype)
        self.spec = spec
        self._row_bytes = dtype.itemsize * math.prod(shape[1:])
        self._bytes = StagedBytes(plan.device, self._row_bytes * shape[0], stack)
        self.address = self._bytes.address
        self.array: NDArray[Any] = self._bytes.array.view(dtype).reshape(shape)
        stack.callback(self._forget)

    def copy_in(self, stream: Stream, batch: int) -> None:
        """Queue the copy to the device, if there is a copy to make."""
        self._bytes.copy_in(stream, self._row_bytes * batch)

    def copy_out(self, stream: Stream, batch: int) -> None:
        """Queue the copy from the device, if there is a copy to make."""
        self._bytes.copy_out(stream, self._row_bytes * batch)

    def _forget(self) -> None:
        """Drop the view before its memory is freed: a later use shall fail, not crash."""
        self.array = np.empty((0, *self.array.shape[1:]), self.array.dtype)


def _mapped_address(pinned: PinnedBuffer) -> int:
    """Return where the device sees the memory.

    Raises:
        BackendError: If it does not.
    """
    if pinned.device_address is None:
        raise BackendError("CUDA gave no device address of mapped memory; update the driver")
    return pinned.device_address
