"""The result of a calibration, and its file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from facealign.errors import CalibrationError

__all__ = ["Ranges", "Snapshot", "json_from_ranges", "ranges_from_json"]


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ranges after the first `crop_count` crops, in the order of the sorted names."""

    crop_count: int
    amax: tuple[float, ...]


class Ranges(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Symmetric ranges of the tensors of one graph over one set of crops.

    Attributes:
        amax: By name of a tensor, the largest magnitude to represent; 0 where it was always zero.
        observer: Which observer chose them.
        crop_count: Number of crops.
        crops_sha256: Of the shape of a crop and the pixels of all, in order.
        graph_sha256: Of the ONNX file.
        snapshots: Ranges on the way, after 1, 2, 4, ... crops and after all.
    """

    amax: dict[str, float]
    observer: str
    crop_count: int
    crops_sha256: str
    graph_sha256: str
    snapshots: tuple[Snapshot, ...]


def json_from_ranges(ranges: Ranges) -> bytes:
    """Return indented JSON with sorted keys; equal ranges give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(ranges, order="sorted"), indent=1) + b"\n"


def ranges_from_json(data: bytes) -> Ranges:
    """Return the ranges in a file of `json_from_ranges`.

    Raises:
        CalibrationError: If `data` is no such file, or contradicts itself.
    """
    try:
        ranges = msgspec.json.decode(data, type=Ranges)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CalibrationError(_malformed(str(error))) from error
    problem = next(_problems(ranges), None)
    if problem is not None:
        raise CalibrationError(_malformed(problem))
    return ranges


def _problems(ranges: Ranges) -> Iterator[str]:
    for name, amax in ranges.amax.items():
        if not (math.isfinite(amax) and amax >= 0):
            yield f"the range of `{name}` is {amax}"
    counts = [snapshot.crop_count for snapshot in ranges.snapshots]
    if counts != sorted(set(counts)) or counts[-1:] != [ranges.crop_count]:
        yield f"snapshots after {counts} crops do not lead to {ranges.crop_count}"
    for snapshot in ranges.snapshots:
        if len(snapshot.amax) != len(ranges.amax):
            yield f"a snapshot has {len(snapshot.amax)} ranges of {len(ranges.amax)}"


def _malformed(problem: str) -> str:
    return f"not a file of calibration ranges: {problem}; calibrate again"
