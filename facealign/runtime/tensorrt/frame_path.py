"""From a frame in the CPU's memory to crops in the device's: one copy and one launch."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device import Device, DeviceBuffer, PinnedBuffer, Stream
from facealign.runtime.tensorrt.kernels.crop import Bilinear, CropKernel, DeviceFrame, Squares
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
        self._room = ExitStack()
        self._room_bytes = 0
        self._frame: DeviceFrame | None = None

    def load(self, frame: NDArray[np.uint8], stream: Stream) -> None:
        """Queue the copy of a frame; nothing queued on an earlier one may still be under way.

        Args:
            frame: ``(H, W, 3)`` uint8, any strides; free at return.
            stream: Where.
        """
        size = frame.size
        if size > self._room_bytes:
            self._make_room(size)
        np.copyto(self._pinned.array[:size].reshape(frame.shape), frame)
        address = self._pinned.device_address
        if self._buffer is not None:
            address = self._buffer.address
            self._device.copy_to_device(address, self._pinned, size=size, stream=stream)
        height, width = frame.shape[:2]
        self._frame = DeviceFrame(address or 0, height, width, _CHANNELS * width)

    def cut(self, squares: Squares, stream: Stream, target: int) -> None:
        """Queue the crops of squares of the frame that was loaded, to an address of the device."""
        if self._frame is not None:
            self._kernel.write(squares, self._frame)
            self._kernel.enqueue(stream, self._frame, target)

    def close(self) -> None:
        """Free the memory."""
        with ExitStack() as stack:
            stack.callback(self._kernel.close)
            stack.callback(self._room.close)

    def _make_room(self, size: int) -> None:
        self._room_bytes = 0
        self._room.close()
        is_integrated = self._device.info.is_integrated
        with ExitStack() as stack:
            self._pinned: PinnedBuffer = self._device.pinned_buffer(size, mapped=is_integrated)
            stack.callback(self._pinned.close)
            self._buffer: DeviceBuffer | None = None
            if not is_integrated:
                self._buffer = self._device.device_buffer(size)
                stack.callback(self._buffer.close)
            self._room = stack.pop_all()
        self._room_bytes = size
