"""Memory for one input or output: the CPU's, and the device's where that is another."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import DeviceBuffer, PinnedBuffer, Stream
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan
from facealign.spec import TensorSpec

__all__ = ["Staged"]


class Staged:
    """Memory for the largest batch of one input or output.

    Attributes:
        array: ``(max_batch, ...)``, in the CPU's memory.
        address: Where TensorRT finds it.
    """

    def __init__(self, plan: LoadedPlan, spec: TensorSpec, stack: ExitStack) -> None:
        device = plan.device
        shape = (plan.contract.max_batch, *(int(axis) for axis in spec.shape[1:]))
        dtype = np.dtype(spec.dtype)
        self.spec = spec
        self._row_bytes = dtype.itemsize * math.prod(shape[1:])
        size = self._row_bytes * shape[0]
        self._device = device
        self._pinned: PinnedBuffer = device.pinned_buffer(size, mapped=device.info.is_integrated)
        stack.callback(self._pinned.close)
        self._buffer: DeviceBuffer | None = None
        if device.info.is_integrated:
            self.address = _mapped_address(self._pinned)
        else:
            self._buffer = device.device_buffer(size)
            stack.callback(self._buffer.close)
            self.address = self._buffer.address
        self.array: NDArray[Any] = self._pinned.array.view(dtype).reshape(shape)
        stack.callback(self._forget)

    def copy_in(self, stream: Stream, batch: int) -> None:
        """Queue the copy to the device, if there is a copy to make."""
        if self._buffer is not None:
            size = self._row_bytes * batch
            self._device.copy_to_device(self.address, self._pinned, size=size, stream=stream)

    def copy_out(self, stream: Stream, batch: int) -> None:
        """Queue the copy from the device, if there is a copy to make."""
        if self._buffer is not None:
            size = self._row_bytes * batch
            self._device.copy_to_host(self._pinned, self.address, size=size, stream=stream)

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
