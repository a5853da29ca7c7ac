from __future__ import annotations

import io
import re
import resource
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bench.messages import (
    Failed,
    Frames,
    GpuDone,
    KeepRate,
    Locate,
    Located,
    Order,
    Ready,
    Reply,
    TakeTurn,
    TimeGpu,
    TurnDone,
    line_of,
    reply_from_line,
)
from facealign.bench.result import GpuTimes
from facealign.bench.worker import Run, peak_memory_mb, serve
from facealign.errors import BackendError


class _Subject:
    """A subject that notes what is run."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.runs: Mapping[str, Run] = {
            kind: self._run_of(kind) for kind in ("forward", "end to end", "crop")
        }

    def landmarks_px(self) -> NDArray[np.float64]:
        return np.array([[[1.5, 2.0], [3.0, 4.0]]])

    def frame_run(self, faces: int) -> Run:
        return self._run_of(f"{faces} faces")

    def gpu_times(self, count: int) -> GpuTimes | None:  # noqa: ARG002  # the protocol's
        return None

    def close(self) -> None:
        self.calls.append("close")

    def _run_of(self, kind: str) -> Run:
        return lambda: self.calls.append(kind)


def _replies(open_subject: Callable[[bytes], _Subject], *orders: Order) -> list[Reply]:
    replies = io.BytesIO()
    lines = b"what to open\n" + b"".join(map(line_of, orders))
    serve(open_subject, io.BytesIO(lines), replies)
    return [reply_from_line(line) for line in replies.getvalue().splitlines()]


def test_serve_opens_what_the_first_line_says() -> None:
    opened: list[bytes] = []

    def open_subject(line: bytes) -> _Subject:
        opened.append(line)
        return _Subject()

    replies = _replies(open_subject)

    assert opened == [b"what to open\n"]
    assert [type(reply) for reply in replies] == [Ready]


def test_serve_closes_its_subject_when_there_are_no_more_orders() -> None:
    subject = _Subject()

    _replies(lambda _: subject)

    assert subject.calls == ["close"]


def test_serve_alternates_the_kinds_of_a_turn_each_behind_a_run_of_the_first() -> None:
    subject = _Subject()

    done = _replies(lambda _: subject, TakeTurn(count=2))[1]

    assert isinstance(done, TurnDone)
    assert {kind: len(times) for kind, times in done.times_ms.items()} == {
        "forward": 2,
        "end to end": 2,
        "crop": 2,
    }
    assert subject.calls[:-1] == ["forward", *["forward", "end to end", "forward", "crop"] * 2]
    assert done.cpu_s > 0
    assert done.peak_memory_mb > 1


def test_serve_does_not_end_a_turn_while_threads_of_the_run_spin() -> None:
    subject = _Subject()
    spin_s = 0.06
    ended: list[float] = []

    def spin() -> None:
        end = time.perf_counter() + spin_s
        while time.perf_counter() < end:
            pass
        ended.append(time.perf_counter())

    def run() -> None:
        thread = threading.Thread(target=spin)
        thread.start()
        threads.append(thread)

    threads: list[threading.Thread] = []
    subject.runs = {"forward": run}
    _replies(lambda _: subject, TakeTurn(count=1))
    answered = time.perf_counter()
    for thread in threads:
        thread.join()

    assert len(ended) == 2
    assert max(ended) < answered


def test_serve_says_where_the_landmarks_are() -> None:
    found = _replies(lambda _: _Subject(), Locate())[1]

    assert found == Located(landmarks_px=(((1.5, 2.0), (3.0, 4.0)),))


def test_serve_says_that_there_is_no_gpu() -> None:
    assert _replies(lambda _: _Subject(), TimeGpu(count=3))[1] == GpuDone(times=None)


def test_serve_keeps_a_rate_behind_one_frame_that_does_not_count() -> None:
    subject = _Subject()
    order = KeepRate(frames_per_s=1000.0, faces_per_frame=3, frame_count=4, limit_s=9.0)

    found = _replies(lambda _: subject, order)[1]

    assert isinstance(found, Frames)
    assert len(found.latencies_ms) == 4
    assert subject.calls[:-1] == ["3 faces"] * 5


def test_serve_passes_an_error_of_ours_on() -> None:
    def refuse(_: bytes) -> _Subject:
        raise BackendError("no library; install it")

    replies = _replies(refuse)

    assert replies == [Failed(error="BackendError", text="no library; install it")]


def test_serve_lets_a_defect_through() -> None:
    def fail(_: bytes) -> _Subject:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _replies(fail)


def test_peak_memory_mb_is_what_linux_says() -> None:
    found = peak_memory_mb()

    kib = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))
    assert kib is not None
    assert found == pytest.approx(int(kib[1]) * 1024 / 1e6, rel=0.05)


def test_peak_memory_mb_asks_the_system_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", _unreadable)

    found = peak_memory_mb()

    most_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert found == pytest.approx(most_kib * 1024 / 1e6, rel=0.05)


def _unreadable(*_: object, **__: object) -> str:
    raise OSError
