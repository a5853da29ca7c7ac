"""Frames at a fixed rate: each is due at its time, whether or not the one before is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from facealign.bench.latency import latency_of
from facealign.bench.messages import Frames, KeepRate
from facealign.bench.result import Candidate, FixedRateResult

__all__ = ["Clock", "fixed_rate_result", "run_at_rate"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from, in seconds."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


def run_at_rate(run: Callable[[], object], order: KeepRate, clock: Clock | None = None) -> Frames:
    """Return how long each frame took from when it was due: an open loop.

    A frame that is late does not delay when the next one is due, so waiting adds up as it does
    behind a camera. After `order.limit_s` no frame is begun any more.

    Args:
        run: One frame, from the picture to landmarks.
        order: The rate, how many frames there are, and the limit.
        clock: Another one in tests.
    """
    clock = clock or Clock()
    began = clock.now()
    busy_s = 0.0
    latencies_ms: list[float] = []
    for number in range(order.frame_count):
        due = began + number / order.frames_per_s
        if (wait_s := due - clock.now()) > 0:
            clock.sleep(wait_s)
        started = clock.now()
        if started - began > order.limit_s:
            break
        run()
        done = clock.now()
        busy_s += done - started
        latencies_ms.append(1e3 * (done - due))
    return Frames(latencies_ms=tuple(latencies_ms), busy_s=busy_s, elapsed_s=clock.now() - began)


def fixed_rate_result(candidate: Candidate, order: KeepRate, frames: Frames) -> FixedRateResult:
    """Return what a run at a fixed rate came to; a frame should be done when the next is due.

    Args:
        candidate: Who ran.
        order: What it was asked.
        frames: What it did, one frame or more.
    """
    allowed_ms = 1e3 / order.frames_per_s
    late = sum(latency_ms > allowed_ms for latency_ms in frames.latencies_ms)
    never_begun = order.frame_count - len(frames.latencies_ms)
    return FixedRateResult(
        candidate=candidate,
        frames_per_s=order.frames_per_s,
        faces_per_frame=order.faces_per_frame,
        frame_count=order.frame_count,
        deadline_ms=allowed_ms,
        misses=late + never_begun,
        latency=latency_of(frames.latencies_ms),
        busy_percent=100 * frames.busy_s / frames.elapsed_s if frames.elapsed_s else 0.0,
    )
