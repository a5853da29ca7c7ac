"""A host device that has the kernels of the patch crop, as the numpy reference."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device import Kernel, KernelArgument, Stream
from facealign.runtime.tensorrt.plugins.launch import KERNELS
from facealign.runtime.tensorrt.plugins.reference import crop_patches
from tests.doubles.host_device import HostDevice

__all__ = ["IMAGE", "PatchCropDevice"]

IMAGE = b"kernels of the patch crop"
_DTYPES = {KERNELS["float32"]: np.float32, KERNELS["float16"]: np.float16}


class PatchCropDevice(HostDevice):
    """As `HostDevice`; it loads `IMAGE`, and counts the launches of each kernel in `launches`."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[str] = []

    def kernel(self, image: bytes, name: str) -> Kernel:
        if image != IMAGE:
            return super().kernel(image, name)
        self.count("cuModuleGetFunction")
        return _PatchCrop(self, name)


class _PatchCrop:
    def __init__(self, device: PatchCropDevice, name: str) -> None:
        self._device, self._name = device, name

    def launch(
        self,
        stream: Stream,
        *,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: tuple[KernelArgument, ...],
    ) -> None:
        self._device.count("cuLaunchKernel")
        if self._device.is_closed:
            raise RuntimeError("a kernel of a closed device was launched")
        values = [int(argument.value or 0) for argument in arguments]
        self._device.enqueue(stream.handle, partial(self._run, grid[2], *values))

    def _run(self, batch: int, features: int, grid: int, *rest: int) -> None:
        channels, height, width, positions, patches = rest
        dtype = _DTYPES[self._name]
        found = crop_patches(
            _at(features, dtype, batch, channels, height, width).astype(np.float32),
            _at(grid, np.float32, batch, positions, 1, 2),
        )
        _at(patches, dtype, batch, channels, positions)[...] = found[..., 0]
        self._device.launches.append(self._name)


def _at(address: int, dtype: Any, *shape: int) -> NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    data = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return np.asarray(data.view(dtype).reshape(shape))
