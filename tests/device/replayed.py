"""A captured patch crop whose map and grid can be changed between replays."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device import Device, DeviceBuffer, PinnedBuffer
from facealign.runtime.tensorrt.plugins.launch import CropSize, PatchCropKernel

__all__ = ["Replayed"]

Singles = NDArray[np.float32]


class Replayed:
    """Copies in, the kernel, and the copy out, as one CUDA graph.

    Args:
        device: Stays open.
        kernel: Of the device.
        features: Such as the maps will be.
        grid: Likewise.
    """

    def __init__(
        self, device: Device, kernel: PatchCropKernel, features: Singles, grid: Singles
    ) -> None:
        self._device, self._kernel = device, kernel
        self._stack = ExitStack()
        self._stream = device.stream()
        self._stack.callback(self._stream.close)
        self._size = CropSize.of(features.shape, grid.shape)
        self._shape = (*features.shape[:2], *grid.shape[1:3])
        self._inputs = [self._buffers(features.nbytes), self._buffers(grid.nbytes)]
        self._output = self._buffers(int(np.prod(self._shape)) * 4)
        self._enqueue()  # what is loaded at the first launch cannot be captured
        self._stream.synchronize()
        self._graph = device.capture(self._stream, self._enqueue)
        self._stack.callback(self._graph.close)

    def run(self, features: Singles, grid: Singles) -> Singles:
        """Return the patches of a replay."""
        for (host, _), array in zip(self._inputs, (features, grid), strict=True):
            host.array[:] = np.frombuffer(array.tobytes(), np.uint8)
        self._graph.launch(self._stream)
        self._stream.synchronize()
        patches: Singles = self._output[0].array.view(np.float32).reshape(self._shape).copy()
        return patches

    def close(self) -> None:
        """Free everything."""
        self._stack.close()

    def _enqueue(self) -> None:
        device, stream = self._device, self._stream
        for host, memory in self._inputs:
            device.copy_to_device(memory.address, host, size=memory.size, stream=stream)
        addresses = (*(memory.address for _, memory in self._inputs), self._output[1].address)
        self._kernel.launch(
            stream,
            self._size,
            addresses=(addresses[0], addresses[1], addresses[2]),
            dtype="float32",
        )
        host, memory = self._output
        device.copy_to_host(host, memory.address, size=memory.size, stream=stream)

    def _buffers(self, size: int) -> tuple[PinnedBuffer, DeviceBuffer]:
        host, memory = self._device.pinned_buffer(size), self._device.device_buffer(size)
        self._stack.callback(host.close)
        self._stack.callback(memory.close)
        return host, memory
