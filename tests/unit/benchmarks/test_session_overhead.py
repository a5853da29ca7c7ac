from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import session_overhead
from numpy.typing import NDArray
from session_overhead import InstantEngine, overhead, steady_state

import facealign.runtime.session as session_module
from facealign.bundle import Bundle, read_bundle
from facealign.geometry import Placement
from facealign.runtime.session import Session
from facealign.spec import CropSpec

RUNS = 400
SMALLEST_BYTES = 16  # that Python can keep


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


@pytest.fixture
def engine(bundle: Bundle) -> InstantEngine:
    golden = bundle.golden()
    return InstantEngine({"landmarks": golden.landmarks[:1].astype(np.float32)}, max_batch=1)


class KeepingEngine(InstantEngine):
    """Keeps a byte of every run."""

    def __init__(self, outputs: dict[str, NDArray[np.float32]]) -> None:
        super().__init__(outputs, max_batch=1)
        self.kept: list[bytes] = []

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.kept.append(crops[0, 0, 0].tobytes())
        return super().run(crops)


class Clock:
    """Goes on by whole seconds, as crop, forward and decode take them."""

    def __init__(self) -> None:
        self.now, self.is_behind_crop = 0, False

    def cut(self, _: object, squares: Placement, spec: CropSpec) -> NDArray[np.uint8]:
        self.now += 3
        self.is_behind_crop = True
        return np.zeros((len(squares), spec.size_px, spec.size_px, 3), np.uint8)

    def forward(self) -> None:
        self.now += 6 if self.is_behind_crop else 5
        self.is_behind_crop = False

    def decode(self, landmarks: NDArray[np.float32], _: Placement) -> NDArray[np.float32]:
        self.now += 1
        return landmarks


class ClockedEngine(InstantEngine):
    """Takes seconds of a clock."""

    def __init__(self, engine: InstantEngine, clock: Clock) -> None:
        super().__init__(engine.run(np.empty(0, np.uint8)), max_batch=1)
        self.clock = clock

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        self.clock.forward()
        return super().run(crops)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(session_overhead, "crops_from_frame", clock.cut)
    monkeypatch.setattr(session_module, "crops_from_frame", clock.cut)
    monkeypatch.setattr(session_module, "frame_from_crop", clock.decode)
    timer = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr(session_overhead, "time", timer)
    return clock


def test_steady_state_of_a_session_keeps_nothing(bundle: Bundle, engine: InstantEngine) -> None:
    golden, session = bundle.golden(), Session(engine, bundle.manifest)

    found = steady_state(lambda: session.run(golden.frame, golden.boxes[:1]), runs=RUNS)

    assert found["keeps_the_bar"]


def test_steady_state_finds_an_engine_that_keeps_three_bytes(
    bundle: Bundle, engine: InstantEngine
) -> None:
    golden = bundle.golden()
    session = Session(KeepingEngine(engine.run(golden.crops)), bundle.manifest)

    found = steady_state(lambda: session.run(golden.frame, golden.boxes[:1]), runs=RUNS)

    assert not found["keeps_the_bar"]
    assert found["bytes_per_run"] > SMALLEST_BYTES


def test_overhead_is_end_to_end_without_crop_and_forward(
    bundle: Bundle, engine: InstantEngine, clock: Clock
) -> None:
    found = overhead(bundle, ClockedEngine(engine, clock), rounds=3)

    assert found["median_ms"] == {
        "forward": 5000,
        "crop": 3000,
        "forward behind it": 6000,
        "end to end": 10_000,
    }
    assert found["overhead_ms"] == [2000, 2000, 2000]
    assert found["more_than_by_hand_ms"] == [1000, 1000, 1000]


def test_overhead_of_a_real_session_is_more_than_nothing(
    bundle: Bundle, engine: InstantEngine
) -> None:
    found = overhead(bundle, engine, rounds=51)

    assert found["more_than_by_hand_ms"][0] > 0
