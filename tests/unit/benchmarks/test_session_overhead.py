from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import session_overhead
from numpy.typing import NDArray
from session_overhead import InstantEngine, overhead, steady_state

import facealign.runtime.session as session_module
from facealign.bundle import Bundle, read_bundle
from facealign.geometry import Placement, crops_from_frame
from facealign.runtime.session import Session
from facealign.spec import CropSpec

RUNS = 400
SMALLEST_BYTES = 16  # that Python can keep
SLEEP_MS = 4.0


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


class SleepingEngine(InstantEngine):
    """Takes some time."""

    def __init__(self, engine: InstantEngine) -> None:
        super().__init__(engine.run(np.empty(0, np.uint8)), max_batch=1)

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        time.sleep(SLEEP_MS / 1e3)
        return super().run(crops)


def slow_crops(frame: NDArray[np.uint8], placement: Placement, spec: CropSpec) -> NDArray[np.uint8]:
    time.sleep(SLEEP_MS / 1e3)
    return crops_from_frame(frame, placement, spec)


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
    bundle: Bundle, engine: InstantEngine
) -> None:
    found = overhead(bundle, SleepingEngine(engine), rounds=9)

    median_ms = found["median_ms"]
    assert set(median_ms) == {"forward", "crop", "forward behind it", "end to end"}
    assert median_ms["forward"] >= SLEEP_MS
    assert median_ms["end to end"] > median_ms["forward behind it"] + median_ms["crop"]
    assert 0 < found["overhead_ms"][0] < SLEEP_MS / 2
    assert 0 < found["more_than_by_hand_ms"][0] < SLEEP_MS / 2


def test_overhead_leaves_out_the_crop(
    bundle: Bundle, engine: InstantEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_overhead, "crops_from_frame", slow_crops)
    monkeypatch.setattr(session_module, "crops_from_frame", slow_crops)

    found = overhead(bundle, engine, rounds=9)

    assert found["median_ms"]["crop"] >= SLEEP_MS
    assert found["overhead_ms"][0] < SLEEP_MS / 2
    assert found["more_than_by_hand_ms"][0] < SLEEP_MS / 2
