from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from measuring import ratio_interval, take_turns


def test_turns_are_medians_of_runs_behind_a_first_that_does_not_count() -> None:
    runs = iter([9, 9, 9, 9, *(50, 1, 2, 6), *(70, 3, 3, 5)])  # seconds; the first turn warms up
    now = [0.0]

    def candidate() -> None:
        now[0] += next(runs)

    times = take_turns({"a": candidate}, rounds=2, clock=lambda: now[0])

    assert times["a"].tolist() == [2000, 3000]


def test_candidates_take_turns_in_every_round() -> None:
    order: list[str] = []

    def noted(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    times = take_turns({"a": noted("a"), "b": noted("b")}, rounds=2)

    assert "".join(order) == 3 * "aaaabbbb"
    assert [len(each) for each in times.values()] == [2, 2]


def test_ratio_is_above_one_when_the_second_is_faster() -> None:
    slow, fast = np.array([20.0, 40.0, 22.0]), np.array([10.0, 20.0, 10.0])

    assert ratio_interval(slow, fast) == pytest.approx((2.0, 2.0, 2.2))
