"""A histogram of magnitudes that grows by doubling the width of its bins."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from facealign.calibration.observers.observer import ObserverState, magnitudes

__all__ = ["HistogramObserver"]

# At least half of the bins are in use, so that 2048 coarse bins are made of two or more each.
_BINS = 8192
_SMALLEST_EXPONENT = -126  # below it float32 loses bits
_LITTLE_ENDIAN = np.dtype("<i8")


class HistogramObserver:
    """Base of the observers that look at a distribution; 64 KiB each.

    Widths are powers of two: then a bin of twice the width is two bins exactly, and the counts do
    not depend on what was seen first. Exact zeros are counted apart: every scale represents them.
    """

    def __init__(self, state: ObserverState | None = None) -> None:
        self._amax = 0.0
        self._exponent: int | None = None
        self._counts = np.zeros(_BINS, np.int64)
        self._zero_count = 0
        if state:
            self.merge(state)

    def observe(self, values: NDArray[np.floating]) -> None:
        """See more values."""
        flat = magnitudes(values)
        positive = flat[flat > 0]
        self._zero_count += flat.size - positive.size
        if not positive.size:
            return
        self._amax = max(self._amax, float(positive.max()))
        exponent = self._widen(_exponent_for(float(positive.max())))
        bins = np.ldexp(positive, -exponent).astype(np.int64)
        self._counts += np.bincount(bins, minlength=_BINS)

    def merge(self, other: ObserverState) -> None:
        """See all that another has seen."""
        self._amax = max(self._amax, other.amax)
        self._zero_count += other.zero_count
        if other.exponent is None:
            return
        exponent = self._widen(other.exponent)
        counts = np.frombuffer(other.counts, _LITTLE_ENDIAN).astype(np.int64)
        self._counts += _widened(counts, exponent - other.exponent)

    def range(self) -> float:
        """Return the largest magnitude to represent."""
        return self._best_range() if self._exponent is not None else 0.0

    def state(self) -> ObserverState:
        """Return all that was seen."""
        counts = self._counts.astype(_LITTLE_ENDIAN).tobytes() if self._amax else b""
        return ObserverState(self._amax, self._exponent, counts, self._zero_count)

    def _best_range(self) -> float:
        raise NotImplementedError  # each observer has its own

    def _widen(self, exponent: int) -> int:
        """Make the bins at least ``2 ** exponent`` wide and return the exponent that they have."""
        if self._exponent is None:
            self._exponent = exponent
        wider = max(self._exponent, exponent)
        self._counts = _widened(self._counts, wider - self._exponent)
        self._exponent = wider
        return wider

    def _running_sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the edges of the bins, ``(E,)``, and sums of ``x ** 0, 1, 2`` below, ``(3, E)``.

        Inside a bin values are taken to be spread evenly. The last bin ends at the largest value.
        """
        width = math.ldexp(1.0, self._exponent or 0)
        used = int(np.flatnonzero(self._counts)[-1]) + 1
        edges = np.arange(used + 1, dtype=np.float64) * width
        edges[-1] = max(self._amax, np.nextafter(edges[-2], np.inf))
        low, high = edges[:-1], edges[1:]
        means = np.stack(
            [np.ones(used), (low + high) / 2, (low**2 + low * high + high**2) / 3]
        )  # of the powers in a bin
        sums = np.cumsum(self._counts[:used] * means, axis=1)
        return edges, np.asarray(np.concatenate([np.zeros((3, 1)), sums], axis=1), np.float64)


def _exponent_for(amax: float) -> int:
    """Return the smallest exponent with ``amax < _BINS * 2 ** exponent``."""
    return max(math.frexp(amax)[1] - int(math.log2(_BINS)), _SMALLEST_EXPONENT)


def _widened(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """Return the counts of bins that are wider by a power of two."""
    for _ in range(min(doublings, _BINS.bit_length())):
        pairs = counts.reshape(-1, 2).sum(axis=1)
        counts = np.concatenate([pairs, np.zeros_like(pairs)])
    return counts
