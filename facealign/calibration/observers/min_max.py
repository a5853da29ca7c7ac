"""The largest magnitude of all: nothing is cut off, and one outlier widens every step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.observers.observer import ObserverState, magnitudes

__all__ = ["OBSERVER", "MinMax"]


class MinMax:
    """Keeps one number."""

    def __init__(self, state: ObserverState | None = None) -> None:
        self._amax = state.amax if state else 0.0

    def observe(self, values: NDArray[np.floating]) -> None:
        """See more values."""
        self._amax = max(self._amax, float(magnitudes(values).max(initial=0.0)))

    def merge(self, other: ObserverState) -> None:
        """See all that another has seen."""
        self._amax = max(self._amax, other.amax)

    def range(self) -> float:
        """Return the largest magnitude."""
        return self._amax

    def state(self) -> ObserverState:
        """Return the largest magnitude as a state."""
        return ObserverState(amax=self._amax)


OBSERVER = MinMax
