from __future__ import annotations

import time

import pytest
from export_speed import StageTimes

PAUSE_S = 0.01


def test_stage_times_are_by_stage_in_order() -> None:
    times = StageTimes()

    with times.stage("read") as stage:
        stage.say("text")
        stage.advance(1, total=2)
        time.sleep(PAUSE_S)
    with times.stage("write"):
        pass

    assert list(times.seconds) == ["read", "write"]
    assert times.seconds["read"] >= PAUSE_S


def test_stage_that_fails_has_no_time() -> None:
    times = StageTimes()

    with pytest.raises(KeyError), times.stage("read"):
        raise KeyError

    assert times.seconds == {}
