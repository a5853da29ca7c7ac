from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.calibration.observers.entropy import Entropy, _divergences

BINS, LEVELS = 2048, 128
ROUNDING = 1e-9  # measured 6e-14: sums of 2048 numbers in another order


def observed(values: NDArray[np.float64]) -> float:
    observer = Entropy()
    observer.observe(values.astype(np.float32))
    return observer.range()


def plain_divergence(counts: NDArray[np.float64], kept: int) -> float:
    """Return the divergence, written as the slides have it."""
    reference = counts[:kept].copy()
    reference[-1] += counts[kept:].sum()
    level = np.arange(kept) * LEVELS // kept
    held = np.bincount(level, counts[:kept], LEVELS)
    filled = np.bincount(level, counts[:kept] > 0, LEVELS)
    candidate = np.where(counts[:kept] > 0, held[level] / np.maximum(filled[level], 1), 0)
    p, q = reference / reference.sum(), candidate / candidate.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


@pytest.mark.parametrize("kept", [128, 129, 255, 256, 1000, 2047, 2048])
def test_entropy_divergence_is_that_of_its_definition(rng: np.random.Generator, kept: int) -> None:
    counts = np.asarray(rng.integers(1, 1000, BINS) * np.exp(-np.arange(BINS) / 200), np.float64)

    found = _divergences(counts, np.array([kept]))[0]

    assert found == pytest.approx(plain_divergence(counts, kept), abs=ROUNDING)


def test_entropy_divergence_passes_over_empty_bins(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 3, BINS).astype(np.float64)
    counts[999] = 1

    found = _divergences(counts, np.array([1000]))[0]

    assert found == pytest.approx(plain_divergence(counts, 1000), abs=ROUNDING)


def test_entropy_divergence_is_infinite_where_the_cut_is_at_an_empty_bin() -> None:
    counts = np.ones(BINS)
    counts[499] = 0

    assert np.isinf(_divergences(counts, np.array([500]))[0])


def test_entropy_keeps_all_of_a_uniform_distribution() -> None:
    assert observed(np.linspace(-5, 5, 200_001)) == pytest.approx(5, rel=1e-6)


def test_entropy_cuts_the_tail_of_a_gaussian_but_not_its_body(rng: np.random.Generator) -> None:
    values = rng.normal(size=400_000)

    assert 3.5 <= observed(values) <= np.abs(values).max()


def test_entropy_cuts_off_an_outlier(rng: np.random.Generator) -> None:
    found = observed(np.append(rng.normal(size=200_000), 50.0))

    assert 3.5 <= found <= 8


def test_entropy_ignores_how_many_values_are_exactly_zero(rng: np.random.Generator) -> None:
    values = np.abs(rng.normal(size=50_000))

    assert observed(np.append(values, np.zeros(500_000))) == observed(values)
