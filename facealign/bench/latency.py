"""From single times to the figures that trtexec prints, by trtexec's definitions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from facealign.bench.result import Latency

__all__ = ["latency_of", "percentile"]


def latency_of(times_ms: Sequence[float]) -> Latency:
    """Return what one kind of run took.

    Args:
        times_ms: One per run, 1 or more, in any order.

    Raises:
        ValueError: If there is none.

    Source: TensorRT's ``samples/common/sampleReporting.cpp``: mean, median, percentiles and
    coefficient of variation.
    """
    if not times_ms:
        raise ValueError("`times_ms` is empty; measure at least one run")
    ordered = sorted(times_ms)
    mean_ms = statistics.fmean(ordered)
    return Latency(
        count=len(ordered),
        min_ms=ordered[0],
        mean_ms=mean_ms,
        median_ms=statistics.median(ordered),
        max_ms=ordered[-1],
        p50_ms=percentile(ordered, 50),
        p90_ms=percentile(ordered, 90),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        cv_percent=100 * statistics.pstdev(ordered) / mean_ms if mean_ms else 0.0,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return an element of ascending values; nothing is interpolated, as trtexec does it."""
    above = math.floor((100 - percent) * len(ordered) / 100)  # 1 - 0.9 is less than 0.1
    return ordered[max(len(ordered) - 1 - above, 0)]
