from __future__ import annotations

import numpy as np
import pytest

from facealign.calibration.observers.percentile import Percentile

BINS = 1 / 4096  # at least so many are in use


def test_percentile_of_a_uniform_distribution_is_its_share() -> None:
    observer = Percentile()

    observer.observe(np.linspace(0, 1, 200_001, dtype=np.float32)[1:])

    assert observer.range() == pytest.approx(0.9999, abs=BINS)


def test_percentile_of_a_gaussian_is_that_of_its_quantile(rng: np.random.Generator) -> None:
    numbers = rng.normal(size=500_000).astype(np.float32)
    observer = Percentile()

    observer.observe(numbers)

    quantile = float(np.quantile(np.abs(numbers), 0.9999))
    assert observer.range() == pytest.approx(quantile, rel=2e-3)
    assert observer.range() == pytest.approx(3.891, rel=0.05)  # of |z|, from tables


def test_percentile_cuts_off_an_outlier(rng: np.random.Generator) -> None:
    observer = Percentile()

    observer.observe(np.append(rng.uniform(size=100_000), 1000).astype(np.float32))

    assert observer.range() <= 2


def test_percentile_counts_zeros() -> None:
    observer = Percentile()

    observer.observe(np.zeros(90_000, np.float32))
    observer.observe(np.linspace(0, 1, 10_001, dtype=np.float32)[1:])

    assert observer.range() == pytest.approx(0.999, abs=2 * BINS)


def test_percentile_counts_zeros_that_another_has_seen() -> None:
    zeros, observer = Percentile(), Percentile()
    zeros.observe(np.zeros(90_000, np.float32))
    observer.observe(np.linspace(0, 1, 10_001, dtype=np.float32)[1:])
    observer.merge(Percentile(zeros.state()).state())

    assert observer.range() == pytest.approx(0.999, abs=2 * BINS)


def test_percentile_of_almost_only_zeros_keeps_all() -> None:
    observer = Percentile()

    observer.observe(np.append(np.zeros(1_000_000), 3.0).astype(np.float32))

    assert observer.range() == 3
