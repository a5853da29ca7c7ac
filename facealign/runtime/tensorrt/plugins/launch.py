"""The kernel of the patch crop on a device."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int32, c_void_p
from dataclasses import dataclass
from pathlib import Path

from facealign.runtime.tensorrt.device.protocol import Device, KernelArgument, Stream

__all__ = [
    "CHANNELS",
    "KERNELS",
    "THREADS",
    "CropSize",
    "LentStream",
    "PatchCropKernel",
    "kernel_source",
]

THREADS = 128  # positions of a block
CHANNELS = 8  # of a thread, as in patch_crop.cu
# CU_STREAM_LEGACY of cuda.h, which names the default stream; a handle of 0 is a closed one here.
_DEFAULT_STREAM = 1
KERNELS = {"float32": "patch_crop_fp32", "float16": "patch_crop_fp16"}


@dataclass(frozen=True, slots=True)
class CropSize:
    """Sizes of one run: B, C, H, W of the map, and positions in the grid of an image."""

    batch: int
    channels: int
    height: int
    width: int
    positions: int

    @staticmethod
    def of(features: Sequence[int], grid: Sequence[int]) -> CropSize:
        """Return the sizes of a map ``(B, C, H, W)`` and a grid ``(B, P, N, 2)``."""
        batch, channels, height, width = features
        return CropSize(batch, channels, height, width, grid[1] * grid[2])

    @property
    def grid(self) -> tuple[int, int, int]:
        """Blocks by positions, channels and images."""
        return (-(-self.positions // THREADS), -(-self.channels // CHANNELS), self.batch)


class LentStream:
    """A stream that belongs to TensorRT: a kernel may be queued on it, no more.

    Args:
        handle: 0 is CUDA's default stream.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle or _DEFAULT_STREAM

    def synchronize(self) -> None:
        """Do nothing: whoever lent the stream waits for it."""

    def close(self) -> None:
        """Do nothing: whoever lent the stream closes it."""


class PatchCropKernel:
    """`patch_crop.cu`, loaded.

    Args:
        device: Keeps what is loaded until it is closed.
        image: CUBIN or PTX of `kernel_source`.

    Raises:
        BackendError: If the device does not take the image.
    """

    def __init__(self, device: Device, image: bytes) -> None:
        self._kernels = {dtype: device.kernel(image, name) for dtype, name in KERNELS.items()}

    def launch(
        self, stream: Stream, size: CropSize, *, addresses: tuple[int, int, int], dtype: str
    ) -> None:
        """Queue one run.

        Args:
            stream: Of the device.
            size: If nothing is in it, nothing is queued.
            addresses: Of the map, the grid and the patches, dense, on the device.
            dtype: ``float32`` or ``float16``, of map and patches; the grid is float32.

        Raises:
            BackendError: If CUDA refuses it.
        """
        if 0 in {size.batch, size.channels, size.positions}:
            return
        features, grid, patches = (c_void_p(address) for address in addresses)
        numbers = (size.channels, size.height, size.width, size.positions)
        arguments: tuple[KernelArgument, ...] = (
            features,
            grid,
            *(c_int32(number) for number in numbers),
            patches,
        )
        self._kernels[dtype].launch(
            stream, grid=size.grid, block=(THREADS, 1, 1), arguments=arguments
        )


def kernel_source() -> str:
    """Return the CUDA C of the kernels in `KERNELS`; it includes nothing."""
    return Path(__file__).with_name("patch_crop.cu").read_text("utf-8")
