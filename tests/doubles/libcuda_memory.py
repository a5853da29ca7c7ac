"""The libcuda double, as the TensorRT double sees it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.doubles.cuda import Double

__all__ = ["LibcudaMemory"]


class LibcudaMemory:
    """See `tests.doubles.tensorrt.Cuda`."""

    def __init__(self, double: Double) -> None:
        self._double = double

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        if not self._double.on_device(address, size):
            raise ValueError(f"CUDA_ERROR_ILLEGAL_ADDRESS: {size} bytes at {address:#x}")
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def enqueue(self, stream_handle: int, work: Callable[[], None]) -> None:
        answer = self._double.enqueue(stream_handle, work)
        if answer:
            raise ValueError(f"a launch failed with {answer}")
