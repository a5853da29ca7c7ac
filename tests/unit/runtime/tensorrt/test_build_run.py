"""Where a Ctrl-C may fall while the thread of a build is started."""

from __future__ import annotations

import threading

import pytest

from facealign.runtime.tensorrt.build_log import BuildWatch
from facealign.runtime.tensorrt.build_run import run_watched

SOON_S = 10


def test_run_watched_waits_for_work_that_began_while_its_thread_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watch, begun, ended = BuildWatch(), threading.Event(), []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        begun.wait(SOON_S)
        raise KeyboardInterrupt

    def work() -> None:
        begun.set()
        ended.append(watch.cancelled.wait(SOON_S))

    monkeypatch.setattr(threading.Thread, "start", interrupted)

    with pytest.raises(KeyboardInterrupt):
        run_watched(work, watch, None)

    assert ended == [True]


def test_run_watched_does_not_begin_work_that_was_called_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late: list[threading.Thread] = []
    begun: list[str] = []

    def interrupted(thread: threading.Thread) -> None:
        late.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_watched(lambda: begun.append("work"), BuildWatch(), None)

    late[0].run()

    assert begun == []
