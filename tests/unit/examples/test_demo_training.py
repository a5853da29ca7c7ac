from __future__ import annotations

import time

import demo_training
import pytest

PHASE = demo_training.Phase(128, steps=100, minutes=2, peak_rate=1e-3, freezes=False)


@pytest.mark.parametrize(
    ("progress", "share"),
    [(0.0, 0.01), (0.02, 0.5), (0.04, 1.0), (0.52, 0.505), (1.0, 0.01)],
    ids=["start", "rising", "peak", "half-way", "end"],
)
def test_rate_rises_in_a_line_and_falls_in_half_a_cosine(progress: float, share: float) -> None:
    assert demo_training._rate(progress) == pytest.approx(share)


@pytest.mark.parametrize(
    ("steps", "minutes_ago", "expected"),
    [(50, 0, 0.5), (10, 1, 0.5), (100, 0, 1.0), (0, 2, 1.0)],
    ids=["steps", "minutes", "all-steps", "all-minutes"],
)
def test_phase_ends_with_its_steps_or_its_minutes(
    steps: int, minutes_ago: float, expected: float
) -> None:
    started = time.perf_counter() - 60 * minutes_ago

    progress = demo_training._progress(steps, started, PHASE)

    assert progress == pytest.approx(expected, abs=0.01)
