"""The range whose quantised values are nearest to the observed ones, in squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.observers.histogram import HistogramObserver

__all__ = ["OBSERVER", "MeanSquaredError"]

_LEVELS = 127  # of one sign
_CANDIDATES = 256
_NARROWEST = 1 / 16  # of the largest value; there a level is still two bins wide


class MeanSquaredError(HistogramObserver):
    """Minimises the squared error of rounding and of cutting off together."""

    def _best_range(self) -> float:
        edges, sums = self._running_sums()
        candidates = np.linspace(_NARROWEST, 1.0, _CANDIDATES) * self._amax
        errors = [_error(amax, edges, sums) for amax in candidates]
        return float(candidates[int(np.argmin(errors))])


def _error(amax: float, edges: NDArray[np.float64], sums: NDArray[np.float64]) -> float:
    """Return the sum of ``(x - quantised x) ** 2``, from the moments of what each level holds."""
    levels = np.arange(_LEVELS + 1) * (amax / _LEVELS)
    ends = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, edges[-1:]])
    count, first, second = (np.diff(np.interp(ends, edges, of_power)) for of_power in sums)
    return float((second - 2 * levels * first + levels**2 * count).sum())


OBSERVER = MeanSquaredError
