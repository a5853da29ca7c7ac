from __future__ import annotations

from pathlib import Path

import pytest

from facealign.bench.child import Child
from facealign.bench.messages import Locate, Located
from facealign.bench.result import Candidate
from facealign.bundle import read_bundle
from facealign.errors import BackendError, FacealignError, SelfTestError
from facealign.pipeline.bench_candidates import BenchRequest
from facealign.pipeline.bench_children import Opened
from facealign.pipeline.bench_results import distances


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return a candidate of which landmarks are known, without a process."""

    def locate(_: Child, order: Locate, reply: type[Located], *, deadline_s: float) -> Located:
        assert isinstance(order, Locate)
        assert deadline_s > 0
        return reply(landmarks_px=(((1.0, 2.0),),))

    monkeypatch.setattr(Child, "ask", locate)
    candidate = Candidate(engine="openvino", precision="fp32", batch=1, threads=None)
    return Opened(candidate, object.__new__(Child), base_memory_mb=1.0, open_s=1.0)


@pytest.mark.parametrize("error", [BackendError, SelfTestError])
def test_distances_says_why_nothing_can_be_compared(
    two_graphs: Path,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
    error: type[FacealignError],
) -> None:
    skipped: list[str] = []

    def refuse(*_: object) -> Opened:
        raise error("18 px off")

    monkeypatch.setattr("facealign.pipeline.bench_results.open_candidate", refuse)

    found = distances(read_bundle(two_graphs), BenchRequest(two_graphs), [opened], skipped)

    assert found == {}
    assert skipped == ["no landmarks were compared: 18 px off"]
