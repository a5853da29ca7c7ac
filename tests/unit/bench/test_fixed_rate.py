from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.bench.fixed_rate import Clock, fixed_rate_result, run_at_rate
from facealign.bench.messages import Frames, KeepRate
from facealign.bench.result import Candidate

_CANDIDATE = Candidate(engine="fake", precision="fp32", batch=1, threads=None)


class _Time:
    """A clock that only sleeping and running move."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.clock = Clock(now=lambda: self.now_s, sleep=self.pass_s)

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds

    def runs(self, *seconds: float) -> Callable[[], None]:
        left = list(seconds)
        return lambda: self.pass_s(left.pop(0))


def _order(count: int, *, limit_s: float = 100.0) -> KeepRate:
    return KeepRate(frames_per_s=10.0, faces_per_frame=2, frame_count=count, limit_s=limit_s)


def test_run_at_rate_waits_for_each_frame() -> None:
    time = _Time()

    found = run_at_rate(time.runs(0.02, 0.03, 0.02), _order(3), time.clock)

    assert found.latencies_ms == pytest.approx((20, 30, 20))
    assert found.elapsed_s == pytest.approx(0.22)
    assert found.busy_s == pytest.approx(0.07)


def test_run_at_rate_counts_the_time_that_a_frame_waits_for_the_one_before() -> None:
    time = _Time()

    found = run_at_rate(time.runs(0.25, 0.02, 0.02, 0.02), _order(4), time.clock)

    # Due at 0, 100, 200 and 300 ms; done at 250, 270, 290 and 320.
    assert found.latencies_ms == pytest.approx((250, 170, 90, 20))


def test_run_at_rate_begins_nothing_after_the_limit() -> None:
    time = _Time()

    found = run_at_rate(time.runs(*[0.3] * 9), _order(9, limit_s=0.7), time.clock)

    assert found.latencies_ms == pytest.approx((300, 500, 700))


def test_fixed_rate_result_counts_late_frames_and_those_never_begun() -> None:
    frames = Frames(latencies_ms=(20.0, 100.0, 101.0, 300.0), busy_s=0.4, elapsed_s=0.8)

    found = fixed_rate_result(_CANDIDATE, _order(6), frames)

    assert found.deadline_ms == 100.0  # until the next frame is due
    assert found.misses == 4
    assert found.frame_count == 6
    assert found.busy_percent == pytest.approx(50.0)
    assert (found.frames_per_s, found.faces_per_frame) == (10.0, 2)
    assert found.latency.count == 4
