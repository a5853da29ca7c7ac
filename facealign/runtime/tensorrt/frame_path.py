"""From a frame in the CPU's memory to crops in the device's: one copy and one launch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, Stream
from facealign.runtime.tensorrt.kernels.crop import Bilinear, CropKernel, DeviceFrame, Squares
from facealign.runtime.tensorrt.staged import StagedBytes
from facealign.spec import CropSpec

__all__ = ["CropSetup", "FramePath", "parts_of"]

_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class CropSetup:
    """What cuts crops on the device.

    Attributes:
        image: Of ``crop.cu``, compiled for the device.
        spec: The crop rule.
        bilinear: As `CropKernel` has it.
    """

    image: bytes
    spec: CropSpec
    bilinear: Bilinear = "exact"


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the squares."""

    centre: NDArray[np.float64]
    side: NDArray[np.float64]


def parts_of(squares: Squares, size: int) -> list[Squares]:
    """Return the squares in turns of at most `size`."""
    return [
        _Part(squares.centre[start : start + size], squares.side[start : start + size])
        for start in range(0, len(squares.side), size)
    ]


class FramePath:
    """Memory for one frame, and the kernel that cuts it; one run at a time.

    The memory grows with the largest frame so far, so a video allocates with its first frame only.

    Args:
        device: Outlives this.
        setup: The rule and its kernel.
        max_faces: Most crops of one launch.

    Raises:
        BackendError: If there is no memory, or the kernel is of another device.
    """

    def __init__(self, device: Device, setup: CropSetup, *, max_faces: int) -> None:
        self._device = device
        self._kernel = CropKernel(
            device, setup.image, setup.spec, max_faces=max_faces, bilinear=setup.bilinear
        )
        self._stack = ExitStack()
        self._memory: StagedBytes | None = None
        self._frame: DeviceFrame | None = None

    def load(self, frame: NDArray[np.uint8], stream: Stream) -> None:
        """Queue the copy of a frame; nothing queued on an earlier one may still be under way.

        Args:
            frame: ``(H, W, 3)`` uint8, any strides; free at return.
            stream: Where.
        """
        self._frame = None  # a failure leaves none to cut from
        memory = self._memory_for(frame.size)
        np.copyto(memory.array[: frame.size].reshape(frame.shape), frame)
        memory.copy_in(stream, frame.size)
        height, width = frame.shape[:2]
        self._frame = DeviceFrame(memory.address, height, width, _CHANNELS * width)

    def cut(self, squares: Squares, stream: Stream, target: int) -> None:
        """Queue the crops of squares of the frame that was loaded, to an address of the device."""
        if self._frame is None:
            raise BackendError("no frame was loaded; this is an error in facealign")
        self._kernel.write(squares, self._frame)
        self._kernel.enqueue(stream, self._frame, target)

    def close(self) -> None:
        """Free the memory."""
        with ExitStack() as stack:
            stack.callback(self._kernel.close)
            stack.callback(self._stack.close)

    def _memory_for(self, size: int) -> StagedBytes:
        if self._memory is not None and self._memory.array.size >= size:
            return self._memory
        self._memory = None
        self._stack.close()
        with ExitStack() as stack:
            self._memory = StagedBytes(self._device, size, stack)
            self._stack = stack.pop_all()
        return self._memory
