from __future__ import annotations

import numpy as np
import pytest

from facealign.bench.ratios import median_interval, ratio_of

_ROUNDS = 24


def test_ratio_of_is_above_one_when_the_candidate_is_faster() -> None:
    found = ratio_of(np.full(_ROUNDS, 30.0), np.full(_ROUNDS, 10.0))

    assert (found.low, found.value, found.high) == (3.0, 3.0, 3.0)


def test_median_interval_may_be_of_differences_too(rng: np.random.Generator) -> None:
    value, low, high = median_interval(rng.normal(-0.1, 0.01, _ROUNDS))

    assert -0.12 < low < value < high < -0.08


def test_ratio_of_does_not_see_a_slow_minute_that_both_had(rng: np.random.Generator) -> None:
    minute = np.where(np.arange(_ROUNDS) > 10, 2.0, 1.0)
    candidate_ms = 10 * minute * rng.normal(1, 0.001, _ROUNDS)

    found = ratio_of(20 * minute, candidate_ms)

    assert found.value == pytest.approx(2.0, rel=0.002)
    assert found.high - found.low < 0.01


def test_ratio_of_does_not_move_with_one_interrupted_round() -> None:
    candidate_ms = np.full(_ROUNDS, 10.0)
    candidate_ms[5] = 500.0

    found = ratio_of(np.full(_ROUNDS, 20.0), candidate_ms)

    assert (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


def test_ratio_of_holds_the_true_ratio_in_nine_of_ten_intervals(rng: np.random.Generator) -> None:
    trials = [
        ratio_of(rng.normal(15, 0.5, _ROUNDS), rng.normal(10, 0.5, _ROUNDS)) for _ in range(100)
    ]

    held = sum(trial.low <= 1.5 <= trial.high for trial in trials)

    assert held >= 85  # 92 measured with this seed, of 95 promised


def test_ratio_of_is_less_sure_when_rounds_hang_together(rng: np.random.Generator) -> None:
    alone = rng.normal(10, 0.5, _ROUNDS)
    together = np.repeat(alone[: _ROUNDS // 4], 4)

    single, blocks = (ratio_of(np.full(_ROUNDS, 20.0), each) for each in (alone, together))

    assert blocks.high - blocks.low > single.high - single.low


@pytest.mark.parametrize("counts", [(3, 4), (0, 0)])
def test_ratio_of_refuses_other_rounds_and_none(counts: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"both need the same rounds, got \(\d,\) and \(\d,\)"):
        ratio_of(np.ones(counts[0]), np.ones(counts[1]))
