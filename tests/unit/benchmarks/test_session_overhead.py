from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from session_overhead import InstantEngine, overhead, steady_state

from facealign.bundle import Bundle, read_bundle
from facealign.runtime.session import Session

RUNS = 400
SMALLEST_BYTES = 16  # that Python can keep
SLEEP_MS = 2.0


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


def test_overhead_is_of_the_session_and_not_of_the_engine(
    bundle: Bundle, engine: InstantEngine
) -> None:
    found = overhead(bundle, engine, rounds=5)

    assert set(found["median_ms"]) == {"forward", "end to end", "crop", "by hand"}
    assert found["median_ms"]["end to end"] > found["median_ms"]["by hand"]
    assert found["more_than_by_hand_ms"][0] > 0
