"""Cut the crops of all faces out of a frame on the device, in one launch."""

from __future__ import annotations

from contextlib import ExitStack
from ctypes import c_int32, c_void_p
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ShapeError
from facealign.runtime.tensorrt.device import Device, Stream
from facealign.runtime.tensorrt.kernels.launch import BLOCK, MAX_FACES, grid_over
from facealign.spec import CropSpec

__all__ = ["Bilinear", "CropKernel", "DeviceFrame", "Squares", "bilinear_of_opencv"]

Bilinear = Literal["exact", "opencv4"]

_CHANNELS = 3
_FIELDS = 5  # of `Square` in crop.cu, all float64
_MARGIN_PX = 2  # facealign/geometry/warp.py; it moves where OpenCV 4 counts its 1/32 px from
_INTERPOLATIONS = {"exact": 0, "opencv4": 1}
_NEAREST = 2
_MAX_INT32 = 2**31 - 1


class Squares(Protocol):
    """F squares in frame pixels, such as `facealign.geometry.Placement`."""

    @property
    def centre(self) -> NDArray[np.float64]:
        """``(F, 2)`` ``(x, y)``."""
        ...

    @property
    def side(self) -> NDArray[np.float64]:
        """``(F,)``, above 0."""
        ...


@dataclass(frozen=True, slots=True)
class DeviceFrame:
    """A frame in the device's memory.

    Attributes:
        address: Of the first pixel: ``(height, width, 3)`` uint8, in the order that the network
            takes, BGR.
        height: Rows.
        width: Pixels per row.
        pitch: Bytes from row to row, ``3 * width`` or more.

    Raises:
        ShapeError: If it has no pixel, or rows overlap.
    """

    address: int
    height: int
    width: int
    pitch: int

    def __post_init__(self) -> None:
        if not (0 < self.height <= _MAX_INT32 and self.width > 0):
            raise ShapeError(
                f"a frame must have 1 to {_MAX_INT32} rows of 1 px or more, got {self.height} of "
                f"{self.width} px"
            )
        if not _CHANNELS * self.width <= self.pitch <= _MAX_INT32:
            raise ShapeError(
                f"the pitch of a frame of {self.width} px per row must be {_CHANNELS * self.width} "
                f"to {_MAX_INT32} bytes, got {self.pitch}"
            )


class CropKernel:
    """The crop rule of a family on the device: `facealign.geometry.crops_from_frame`, there.

    One run at a time: wait for the last one before the next `write`. `enqueue` can be captured;
    the graph then cuts what was last written, always as many squares as when it was captured.

    Args:
        device: Outlives this.
        image: What `compiled_kernels` gives for ``crop.cu``.
        spec: The rule.
        max_faces: Most squares per run, 1 to 65535.
        bilinear: ``"exact"`` as the formula has it and OpenCV 5 computes it; ``"opencv4"`` at
            positions rounded to 1/32 px, as that has it. They differ by up to 8 grey levels in
            noise; it is nothing to ``"nearest"``, which is the same everywhere.

    Raises:
        BackendError: If there is no memory, or the image is of another device.
        ValueError: If `max_faces` is out of range.
    """

    def __init__(
        self,
        device: Device,
        image: bytes,
        spec: CropSpec,
        *,
        max_faces: int,
        bilinear: Bilinear = "exact",
    ) -> None:
        if not 1 <= max_faces <= MAX_FACES:
            raise ValueError(f"`max_faces` must be 1 to {MAX_FACES}, got {max_faces}")
        self._device = device
        self._spec = spec
        is_nearest = spec.interpolation == "nearest"
        self._interpolation = _NEAREST if is_nearest else _INTERPOLATIONS[bilinear]
        self._kernel = device.kernel(image, "crop_squares")
        size = max_faces * _FIELDS * 8
        with ExitStack() as stack:
            self._written = device.pinned_buffer(size, mapped=device.info.is_integrated)
            stack.callback(self._written.close)
            address = self._written.device_address
            self._is_copied = address is None
            if address is None:
                copied = device.device_buffer(size)
                stack.callback(copied.close)
                address = copied.address
            self._address = address
            self._stack = stack.pop_all()
        self._squares: NDArray[np.float64] | None = self._written.array.view(np.float64).reshape(
            max_faces, _FIELDS
        )
        self._face_count = 0

    def write(self, squares: Squares, frame: DeviceFrame) -> None:
        """Say which squares the next runs cut.

        Args:
            squares: F of them, 0 to `max_faces`; they may reach outside the frame.
            frame: What they will be cut from; only its size matters.

        Raises:
            ShapeError: If there are more than `max_faces`.
            ValueError: If this is closed.
        """
        face_count, memory = len(squares.side), self._opened()
        if face_count > len(memory):
            raise ShapeError(
                f"{face_count} squares, and this kernel takes {len(memory)}; cut them in "
                "several runs or open it with a larger `max_faces`"
            )
        self._face_count = face_count
        rows = memory[:face_count]
        if self._interpolation == _NEAREST:
            rows[:, 0] = self._spec.size_px / squares.side
            rows[:, 1:3] = squares.centre
            rows[:, 3:] = 0
        else:
            _write_bilinear(rows, squares, frame, self._spec.size_px)

    def enqueue(self, stream: Stream, frame: DeviceFrame, target: int) -> None:
        """Queue one run.

        Args:
            stream: Where.
            frame: Of the size that `write` was told; its memory is read when the run is.
            target: Address of ``(F, size_px, size_px, 3)`` uint8, F as written.

        Raises:
            ValueError: If this is closed.
        """
        self._opened()
        if self._face_count == 0:
            return
        if self._is_copied:
            size = self._face_count * _FIELDS * 8
            self._device.copy_to_device(self._address, self._written, size=size, stream=stream)
        self._kernel.launch(
            stream,
            grid=grid_over(self._spec.size_px, self._face_count),
            block=BLOCK,
            arguments=(
                c_void_p(frame.address),
                c_int32(frame.height),
                c_int32(frame.width),
                c_int32(frame.pitch),
                c_void_p(self._address),
                c_void_p(target),
                c_int32(self._spec.size_px),
                c_int32(self._interpolation),
                c_int32(self._spec.border_value),
            ),
        )

    def close(self) -> None:
        """Free its memory; a second call does nothing."""
        self._squares = None
        self._stack.close()

    def _opened(self) -> NDArray[np.float64]:
        """Return the squares' memory, ``(max_faces, 5)``, which is not numpy's: it can be gone."""
        if self._squares is None:
            raise ValueError("the kernel is closed; use it before its `close`")
        return self._squares


def bilinear_of_opencv(version: str) -> Bilinear:
    """Return which of the two a release of OpenCV computes, such as ``"4.9.0"``."""
    return "opencv4" if int(version.partition(".")[0]) < 5 else "exact"


def _write_bilinear(
    rows: NDArray[np.float64], squares: Squares, frame: DeviceFrame, size_px: int
) -> None:
    """Write the map from crop to frame in the very steps of `crop_from_frame` and OpenCV.

    Source: OpenCV 4.9 ``cv::warpAffine``, which inverts the matrix it is given.
    """
    low = np.floor(squares.centre - squares.side[:, None] / 2) - _MARGIN_PX
    low = np.clip(low, 0, [frame.width, frame.height])
    scale = size_px / squares.side  # (F,)
    shift = size_px / 2 - scale[:, None] * (squares.centre - low)  # (F, 2)
    step = scale * (1 / (scale * scale))
    rows[:, 0] = step
    rows[:, 1:3] = -step[:, None] * shift
    rows[:, 3:] = low
