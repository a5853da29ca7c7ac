"""The file of an unfinished calibration: whole or absent, and trusted only with its digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from facealign.calibration.observers import ObserverState
from facealign.calibration.ranges import Snapshot
from facealign.errors import CalibrationError, OutputError

__all__ = ["PartialCalibration", "read_state", "write_state"]

_DIGEST_CHARS = 64


class PartialCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known after `crop_count` crops.

    Attributes:
        graph_sha256: Of the ONNX file.
        observer: Name of the observer.
        names: Tensors observed, in the order of `observers`.
        crop_count: Crops seen.
        crops_sha256: Digest of those.
        observers: What each has seen.
        snapshots: Ranges on the way.
    """

    graph_sha256: str
    observer: str
    names: tuple[str, ...]
    crop_count: int
    crops_sha256: str
    observers: tuple[ObserverState, ...]
    snapshots: tuple[Snapshot, ...]


def write_state(path: Path, state: PartialCalibration) -> None:
    """Write a state; a reader sees the old one or the new one, never a part.

    Raises:
        OutputError: If the place cannot be written.
    """
    payload = msgspec.msgpack.encode(state)
    digest = hashlib.sha256(payload).hexdigest().encode()
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with partial.open("wb") as file:
                file.write(digest + payload)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write the calibration state `{path}`: {error.strerror or error}; "
            "choose a folder that can be written"
        ) from error


def read_state(path: Path) -> PartialCalibration | None:
    """Return the state in a file, or nothing if there is no file.

    Raises:
        CalibrationError: If the file is not exactly what `write_state` wrote, or cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CalibrationError(
            f"cannot read the calibration state `{path}`: {error.strerror}; delete it to start anew"
        ) from error
    payload = data[_DIGEST_CHARS:]
    if hashlib.sha256(payload).hexdigest().encode() != data[:_DIGEST_CHARS]:
        raise CalibrationError(
            f"the calibration state `{path}` is corrupt: its digest does not fit; "
            "delete it to start anew"
        )
    try:
        return msgspec.msgpack.decode(payload, type=PartialCalibration)
    except msgspec.MsgspecError as error:
        raise CalibrationError(
            f"the calibration state `{path}` is of another facealign: {error}; "
            "delete it to start anew"
        ) from error
