from __future__ import annotations

import math

import pytest

from facealign.pipeline.judge import Judgement
from facealign.pipeline.reduction import Limits


def judgement(*, p99_px: float = 0.0, change: float = 0.0) -> Judgement:
    return Judgement(p99_px, p99_px, 0.0, 5.0, change, (change, change))


@pytest.mark.parametrize(
    ("limits", "found", "expected"),
    [
        pytest.param(Limits(0.1), judgement(p99_px=0.05), 0.5, id="bar"),
        pytest.param(Limits(None, 0.2), judgement(p99_px=9, change=0.1), 0.5, id="budget"),
        pytest.param(Limits(0.1, 0.2), judgement(p99_px=0.05, change=0.3), 1.5, id="worse-counts"),
        pytest.param(Limits(0.1, 0.2), judgement(p99_px=0.3, change=-9), 3.0, id="gain-and-loss"),
        pytest.param(Limits(None, 0.0), judgement(change=-0.1), 0.0, id="no-budget-and-a-gain"),
        pytest.param(Limits(None, 0.0), judgement(change=1e-9), math.inf, id="no-budget-no-loss"),
        pytest.param(Limits(0.1, 0.2), judgement(p99_px=0.01, change=math.nan), math.inf, id="nan"),
        pytest.param(Limits(0.1, 0.2), judgement(p99_px=math.inf), math.inf, id="infinite"),
    ],
)
def test_share_used_is_that_of_the_tightest_limit(
    limits: Limits, found: Judgement, expected: float
) -> None:
    assert limits.share_used(found) == pytest.approx(expected)
