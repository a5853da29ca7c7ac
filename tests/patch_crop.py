"""Runs of the patch crop, and cases of it, for the tests on the double and on a GPU."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device import Device, PinnedBuffer, Stream
from facealign.runtime.tensorrt.plugins.launch import CropSize, PatchCropKernel

__all__ = ["CASES", "Floats", "case", "run_patch_crop"]

CASES = ("random", "border", "cells", "far", "not_numbers", "one_cell", "odd_channels")


Floats = NDArray[np.floating[Any]]


def case(name: str, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a map ``(B, C, H, W)`` and a grid ``(B, P, N, 2)`` of one of `CASES`."""
    channels, height, width = {"one_cell": (3, 1, 1), "odd_channels": (13, 5, 6)}.get(
        name, (16, 8, 10)
    )
    features = rng.uniform(-1, 1, (2, channels, height, width)).astype(np.float32)
    grid = rng.uniform(-1, 1, (2, 7, 9, 2)).astype(np.float32)
    if name == "border":  # up to one and a half cells beyond
        beyond = 1 + rng.uniform(-0.3, 0.3, grid.shape)
        grid = (np.sign(grid) * beyond).astype(np.float32)
    elif name == "cells":  # the middles of cells, one beyond the border too
        columns = rng.integers(-1, width + 1, grid.shape[:-1])
        rows = rng.integers(-1, height + 1, grid.shape[:-1])
        places = ((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1)
        grid = np.stack(places, axis=-1).astype(np.float32)
    elif name == "far":
        # Not beyond 2**31 cells, which ONNX Runtime takes for -1.
        grid *= np.float32(10) ** rng.integers(1, 8, grid.shape)
    elif name == "not_numbers":
        grid[rng.uniform(size=grid.shape) < 0.3] = np.nan
    return features, grid


def run_patch_crop(
    device: Device,
    kernel: PatchCropKernel,
    features: Floats,
    grid: NDArray[np.float32],
) -> Floats:
    """Return what the kernel gives, through buffers and a stream of the device."""
    shape = (*features.shape[:2], *grid.shape[1:3])
    patches = np.zeros(shape, features.dtype)
    with ExitStack() as stack:
        stream = device.stream()
        stack.callback(stream.close)
        addresses = [_sent(device, array, stream, stack) for array in (features, grid, patches)]
        kernel.launch(
            stream,
            CropSize.of(features.shape, grid.shape),
            addresses=(addresses[0], addresses[1], addresses[2]),
            dtype=str(features.dtype),
        )
        found = _pinned(device, patches.nbytes, stack)
        device.copy_to_host(found, addresses[2], size=patches.nbytes, stream=stream)
        stream.synchronize()
        return np.asarray(found.array.copy().view(features.dtype).reshape(shape))


def _sent(device: Device, array: Floats, stream: Stream, stack: ExitStack) -> int:
    """Return the address of an array on the device."""
    data = np.frombuffer(array.tobytes(), np.uint8)
    staging = _pinned(device, data.size, stack)
    staging.array[:] = data
    memory = device.device_buffer(data.size)
    stack.callback(memory.close)
    device.copy_to_device(memory.address, staging, size=data.size, stream=stream)
    stream.synchronize()
    return memory.address


def _pinned(device: Device, size: int, stack: ExitStack) -> PinnedBuffer:
    buffer = device.pinned_buffer(size)
    stack.callback(buffer.close)
    return buffer
