"""The magnitude that 99.99 % of all values stay below, zeros included."""

from __future__ import annotations

import numpy as np

from facealign.calibration.observers.histogram import HistogramObserver

__all__ = ["OBSERVER", "Percentile"]

_SHARE = 0.9999  # the percentile of Wu et al. 2020, arXiv 2004.09602, sec. 5, that hurt least


class Percentile(HistogramObserver):
    """Cuts off a fixed share of the values."""

    def _best_range(self) -> float:
        positive = float(self._counts.sum())
        wanted = _SHARE * (positive + self._zero_count) - self._zero_count
        edges, sums = self._running_sums()
        # Of mostly zeros, even the smallest value may be above the percentile: keep them all.
        return float(np.interp(wanted, sums[0], edges)) if wanted > 0 else self._amax


OBSERVER = Percentile
