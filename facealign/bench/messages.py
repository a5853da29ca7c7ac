"""What the measuring process and its parent say to each other: one line of JSON each."""

from __future__ import annotations

import msgspec

from facealign.bench.result import GpuTimes

__all__ = [
    "Failed",
    "Frames",
    "GpuDone",
    "KeepRate",
    "Locate",
    "Located",
    "Order",
    "Ready",
    "Reply",
    "TakeTurn",
    "TimeGpu",
    "TurnDone",
    "line_of",
    "order_from_line",
    "reply_from_line",
]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Base of every message; ``type`` in the JSON is the name of its class."""


class TakeTurn(_Message, frozen=True, kw_only=True):
    """Run every kind so often, in alternation, behind one run that does not count."""

    count: int


class KeepRate(_Message, frozen=True, kw_only=True):
    """Run frames as they come; begin none later than `limit_s` after the first was due."""

    frames_per_s: float
    faces_per_frame: int
    frame_count: int
    limit_s: float


class Locate(_Message, frozen=True, kw_only=True):
    """Say where the landmarks of the crops that are timed lie."""


class TimeGpu(_Message, frozen=True, kw_only=True):
    """Time so many runs by events on the GPU, where there is one."""

    count: int


Order = TakeTurn | KeepRate | Locate | TimeGpu


class Ready(_Message, frozen=True, kw_only=True):
    """Everything is open.

    `base_memory_mb` is the peak before that, MB of 10^6 bytes, and `cpu_s` the processor time of
    this process so far.
    """

    base_memory_mb: float
    cpu_s: float


class TurnDone(_Message, frozen=True, kw_only=True):
    """Times by kind of run, in the order of the runs.

    `cpu_s` is the processor time of this process, and `peak_memory_mb` its largest resident memory,
    both since it began.
    """

    times_ms: dict[str, tuple[float, ...]]
    cpu_s: float
    peak_memory_mb: float


class Frames(_Message, frozen=True, kw_only=True):
    """Latencies of the frames that were begun, from when each was due."""

    latencies_ms: tuple[float, ...]
    busy_s: float
    elapsed_s: float


class Located(_Message, frozen=True, kw_only=True):
    """``B x N x 2`` landmarks, crop pixels."""

    landmarks_px: tuple[tuple[tuple[float, float], ...], ...]


class GpuDone(_Message, frozen=True, kw_only=True):
    """What the GPU took; None where there is none."""

    times: GpuTimes | None


class Failed(_Message, frozen=True, kw_only=True):
    """An error of ours: its class in `facealign.errors`, and its text."""

    error: str
    text: str


Reply = Ready | TurnDone | Frames | Located | GpuDone | Failed

_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def line_of(message: Order | Reply) -> bytes:
    """Return a message as one line."""
    return msgspec.json.encode(message) + b"\n"


def order_from_line(line: bytes) -> Order:
    """Return what the parent wants; raises `msgspec.MsgspecError` if `line` is no order."""
    return _orders.decode(line)


def reply_from_line(line: bytes) -> Reply:
    """Return what the child says; raises `msgspec.MsgspecError` if `line` is no reply."""
    return _replies.decode(line)
