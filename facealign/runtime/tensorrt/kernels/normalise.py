"""From crops to the float planes that an engine from elsewhere may want.

Graphs of facealign take the crops as they are; they need none of this.
"""

from __future__ import annotations

from ctypes import c_float, c_int32, c_void_p

from facealign.runtime.tensorrt.device import Device, Stream
from facealign.runtime.tensorrt.kernels.launch import BLOCK, MAX_FACES, grid_over

__all__ = ["NormaliseKernel"]

_Triple = tuple[float, float, float]


class NormaliseKernel:
    """``(grey - mean) * scale`` of every channel, as float32 planes.

    Args:
        device: Outlives this.
        image: What `compiled_kernels` gives for ``crop.cu``.
        mean: Per channel of the output, in grey levels.
        scale: Per channel of the output, such as ``1 / (255 * std)``.
        reverse: Whether the output has the channels in the other order, as RGB of BGR.

    Raises:
        BackendError: If the image is of another device.
    """

    def __init__(
        self, device: Device, image: bytes, *, mean: _Triple, scale: _Triple, reverse: bool = False
    ) -> None:
        self._kernel = device.kernel(image, "normalise_crops")
        self._floats = tuple(c_float(value) for value in (*mean, *scale))
        self._reverse = c_int32(reverse)

    def enqueue(
        self, stream: Stream, crops: int, target: int, *, size_px: int, face_count: int
    ) -> None:
        """Queue one run.

        Args:
            stream: Where.
            crops: Address of ``(F, size_px, size_px, 3)`` uint8.
            target: Address of ``(F, 3, size_px, size_px)`` float32.
            size_px: Side of the crops.
            face_count: F, 0 to 65535.

        Raises:
            ValueError: If there are too many faces.
        """
        if not 0 <= face_count <= MAX_FACES:
            raise ValueError(f"`face_count` must be 0 to {MAX_FACES}, got {face_count}")
        if face_count == 0:
            return
        self._kernel.launch(
            stream,
            grid=grid_over(size_px, face_count),
            block=BLOCK,
            arguments=(
                c_void_p(crops),
                c_void_p(target),
                c_int32(size_px),
                self._reverse,
                *self._floats,
            ),
        )
