from __future__ import annotations

import pytest

from facealign.bench.latency import latency_of, percentile


# By hand from trtexec's rule: the element at max(n - 1 - floor((1 - P / 100) * n), 0).
@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    [(1, 99, 0), (10, 50, 4), (10, 90, 8), (10, 99, 9), (100, 99, 98), (101, 50, 50), (20, 95, 18)],
)
def test_percentile_is_the_element_that_trtexec_takes(
    count: int, percent: float, expected: int
) -> None:
    found = percentile(list(range(count)), percent)

    assert found == expected


def test_latency_of_sorts_and_divides_by_all_runs() -> None:
    found = latency_of([4.0, 1.0, 3.0, 2.0])

    assert (found.count, found.min_ms, found.max_ms) == (4, 1.0, 4.0)
    assert found.mean_ms == 2.5
    assert found.median_ms == 2.5
    assert found.p50_ms == 2.0  # an element, not between two
    assert found.p99_ms == 4.0


def test_latency_of_gives_the_population_deviation_in_percent_of_the_mean() -> None:
    found = latency_of([1.0, 3.0])

    assert found.cv_percent == pytest.approx(50.0)


def test_latency_of_refuses_no_runs() -> None:
    with pytest.raises(ValueError, match=r"`times_ms` is empty; measure at least one run"):
        latency_of([])
