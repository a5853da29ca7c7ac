"""The self-test that travels in a bundle: inputs, and the landmarks that the module gave."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facealign.bundle.manifest import GoldenEntry
from facealign.errors import IntegrityError

__all__ = ["Golden", "files_from_golden", "golden_from_files", "npy_from_array"]

_Scalar = TypeVar("_Scalar", bound=np.generic)
_NPY_VERSION = (1, 0)
_UNDECIDED_SHARE = 0.5  # a self-test that passes over more than this is none


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and what they must give.

    Attributes:
        frame: ``(H, W, 3)`` uint8 BGR.
        boxes: ``(F, 4)`` float64 ``(x0, y0, x1, y1)``, frame pixels.
        crops: ``(K, S, S, 3)`` uint8 BGR; the first F are what the crop rule gives for the boxes.
        landmarks: ``(K, N, 2)`` float32, fraction of the crop, from the PyTorch module. NaN where
            rounding decides between two peaks, which may be at most half of them.
    """

    frame: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    crops: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def files_from_golden(golden: Golden, entry: GoldenEntry) -> dict[str, bytes]:
    """Return the four ``.npy`` files under the names of `entry`; equal arrays give equal bytes."""
    return {
        entry.frame: npy_from_array(golden.frame.astype("|u1", copy=False)),
        entry.boxes: npy_from_array(golden.boxes.astype("<f8", copy=False)),
        entry.crops: npy_from_array(golden.crops.astype("|u1", copy=False)),
        entry.landmarks: npy_from_array(golden.landmarks.astype("<f4", copy=False)),
    }


def golden_from_files(read_file: Callable[[str], bytes], entry: GoldenEntry) -> Golden:
    """Return the golden arrays, read-only; nothing is ever unpickled.

    Args:
        read_file: From a name in `entry` to the bytes of that file.
        entry: The four names.

    Raises:
        IntegrityError: If a file is no such array, or the four do not fit together.
    """
    golden = Golden(
        frame=_array_from_npy(read_file(entry.frame), np.uint8, name=entry.frame),
        boxes=_array_from_npy(read_file(entry.boxes), np.float64, name=entry.boxes),
        crops=_array_from_npy(read_file(entry.crops), np.uint8, name=entry.crops),
        landmarks=_array_from_npy(read_file(entry.landmarks), np.float32, name=entry.landmarks),
    )
    shapes = {
        "frame": golden.frame.shape,
        "boxes": golden.boxes.shape,
        "crops": golden.crops.shape,
        "landmarks": golden.landmarks.shape,
    }
    if not _fit_together(golden):
        raise IntegrityError(f"the golden arrays do not fit together: {shapes}; compile again")
    return golden


def _fit_together(golden: Golden) -> bool:
    frame, boxes, crops, landmarks = golden.frame, golden.boxes, golden.crops, golden.landmarks
    return (
        (frame.ndim, boxes.ndim, crops.ndim, landmarks.ndim) == (3, 2, 4, 3)
        and (frame.shape[2], boxes.shape[1], crops.shape[3], landmarks.shape[2]) == (3, 4, 3, 2)
        and len(boxes) <= len(crops) == len(landmarks)
        and np.isnan(landmarks).mean() <= _UNDECIDED_SHARE
    )


def npy_from_array(array: NDArray[np.generic]) -> bytes:
    """Return a ``.npy`` file; equal arrays give equal bytes."""
    stream = io.BytesIO()
    np.lib.format.write_array(
        stream, np.ascontiguousarray(array), version=_NPY_VERSION, allow_pickle=False
    )
    return stream.getvalue()


def _array_from_npy(data: bytes, dtype: type[_Scalar], *, name: str) -> NDArray[_Scalar]:
    """Return the array by its header, checked against the length so that nothing is allocated.

    Raises:
        IntegrityError: If `data` is not a little-endian array of `dtype`.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, is_fortran, found = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, EOFError, SyntaxError) as error:
        raise IntegrityError(f"`{name}` is no .npy file: {error}; compile again") from error
    body = data[stream.tell() :]
    if version != _NPY_VERSION or is_fortran or found != np.dtype(dtype).newbyteorder("<"):
        raise IntegrityError(f"`{name}` holds {found} values, expected {dtype.__name__}")
    if math.prod(shape) * found.itemsize != len(body):
        raise IntegrityError(f"`{name}` is {len(body)} bytes long, which is not {shape}")
    return np.frombuffer(body, dtype=dtype).reshape(shape)
