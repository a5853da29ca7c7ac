from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import auc_histogram_percent, auc_percent, failure_rate_percent
from facealign.evaluation.ced import HISTOGRAM_BINS

EXACT = 1e-9  # percentage points; measured 4e-14
ROUNDING = 1e-9  # how far the histogram may leave 0 to 100; measured 0
GAP_BINS = 2  # measured 1.23: 30 000 random sets of 1 to 30 faces

Figure = Callable[[NDArray[np.float64], float], float]
FIGURES = [
    pytest.param(failure_rate_percent, id="fr"),
    pytest.param(auc_percent, id="auc"),
    pytest.param(auc_histogram_percent, id="auc-histogram"),
]
AUCS = FIGURES[1:]
faces = st.lists(st.floats(0, 60), min_size=1, max_size=30)
thresholds = st.floats(0.1, 40)


def test_failure_rate_counts_faces_above_the_threshold_and_not_those_at_it() -> None:
    nme = np.array([1, 7.9, 8, 8.1, 20])

    rate = failure_rate_percent(nme, 8)

    assert rate == 40


@given(nme=faces, first=thresholds, second=thresholds)
def test_failure_rate_falls_and_auc_grows_with_the_threshold(
    nme: list[float], first: float, second: float
) -> None:
    low, high = sorted((first, second))
    values = np.array(nme)

    assert failure_rate_percent(values, low) >= failure_rate_percent(values, high)
    assert auc_percent(values, low) <= auc_percent(values, high) + EXACT


@pytest.mark.parametrize(
    ("nme", "area"),
    [
        pytest.param([0, 0], 100, id="perfect"),
        pytest.param([8, 50], 0, id="at-or-above-the-threshold"),
        pytest.param([2], 75, id="one-face"),
        pytest.param([2, 4, 6, 10], (75 + 50 + 25) / 4, id="mean-of-each-faces-own"),
    ],
)
def test_auc_is_the_mean_share_of_the_way_left(nme: list[float], area: float) -> None:
    assert auc_percent(np.array(nme, float), 8) == pytest.approx(area, abs=EXACT)


@given(nme=faces, threshold=thresholds)
def test_auc_equals_the_integral_of_the_step_ced(nme: list[float], threshold: float) -> None:
    steps = sorted({0.0, threshold, *(value for value in nme if value < threshold)})
    brute_force = math.fsum(
        (right - left) * sum(value <= left for value in nme) / len(nme)
        for left, right in itertools.pairwise(steps)
    )

    area = auc_percent(np.array(nme), threshold)

    assert area == pytest.approx(100 * brute_force / threshold, abs=EXACT)


@given(nme=faces, threshold=thresholds)
@example(nme=[1.0, math.nextafter(1.0, 2.0)], threshold=8.0)
@example(nme=[0.0, 5e-324], threshold=8.0)
@example(nme=[0.0, 0.0], threshold=8.0)
@example(nme=[3.0, 5.0], threshold=3.0)
def test_auc_by_histogram_lies_within_0_and_100_and_near_the_exact_one(
    nme: list[float], threshold: float
) -> None:
    bin_percent = (max(nme) - min(nme)) / HISTOGRAM_BINS

    area = auc_histogram_percent(np.array(nme), threshold)

    bound = 100 * GAP_BINS * bin_percent / threshold + EXACT
    assert -ROUNDING <= area <= 100 + ROUNDING
    assert abs(area - auc_percent(np.array(nme), threshold)) <= bound


@pytest.mark.parametrize(
    ("nme", "area"),
    [
        # Heights 1/2 over 0 to 9.999 and 1 in the last bin: below 5 there are 5001 edges, evenly
        # spaced, and above the last of them nothing is left over.
        pytest.param([0.0, 10.0], 50, id="threshold-on-an-edge"),
        # The first edge is at 2, so 0 to 2 is empty; the second face is beyond the threshold.
        pytest.param([2.0, 12.0], 30, id="nothing-before-the-best-face"),
    ],
)
def test_auc_by_histogram_starts_at_the_best_face(nme: list[float], area: float) -> None:
    assert auc_histogram_percent(np.array(nme), 5) == pytest.approx(area, abs=EXACT)


def test_auc_by_histogram_counts_a_face_at_the_left_edge_of_its_bin() -> None:
    nme = np.array([0.0, 1.0, 2.0005, 10.0])  # bins of 0.001, so the third face is inside one
    # The 5001 edges up to 5 have Simpson's weights 1 4 2 4 .. 2 4 1, in thirds of a bin.
    before_1 = 0.001 / 3 * (1 + 4 * 500 + 2 * 499)  # edges 0.000 to 0.999
    before_2 = 0.001 / 3 * (4 * 500 + 2 * 500)  # edges 1.000 to 1.999
    beyond = 0.001 / 3 * (4 * 1500 + 2 * 1500 + 1)  # edges 2.000 to 5.000

    area = auc_histogram_percent(nme, 5)

    expected = 100 * (before_1 / 4 + before_2 / 2 + beyond * 3 / 4) / 5
    assert area == pytest.approx(expected, abs=EXACT)
    assert area > auc_percent(nme, 5)


def test_auc_by_histogram_goes_on_to_the_threshold_when_all_faces_are_below() -> None:
    nme = np.array([1.0, 2.0])  # bins of 0.0001; the height is 1/2 up to the edge 1.9999, then 1
    trapezium_at_end = 0.9998 / 2 + 0.0001 * (1 / 2 + 1) / 2
    trapezium_at_start = 0.0001 / 2 + 0.9998 / 2 + 0.0001 / 3 / 2  # the last edge weighs a third

    area = auc_histogram_percent(nme, 8)

    up_to_last_edge = (trapezium_at_end + trapezium_at_start) / 2
    assert area == pytest.approx(100 * (up_to_last_edge + 8 - 1.9999) / 8, abs=EXACT)


@pytest.mark.parametrize("value", [0.0, 3.0, 9.0])
def test_both_aucs_agree_when_all_faces_are_equal(value: float) -> None:
    nme = np.full(4, value)

    assert auc_histogram_percent(nme, 8) == auc_percent(nme, 8)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan, math.inf])
def test_figures_refuse_a_threshold_that_is_no_length(figure: Figure, threshold: float) -> None:
    with pytest.raises(InputError, match=f"`threshold_percent` must be above 0, got {threshold}"):
        figure(np.ones(3), threshold)


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_refuse_an_empty_set(figure: Figure) -> None:
    with pytest.raises(InputError, match="`nme_percent` has no face; pass one or more"):
        figure(np.ones(0), 8)


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_refuse_errors_per_landmark(figure: Figure) -> None:
    with pytest.raises(ShapeError, match=re.escape("`nme_percent` must be (F,), got (3, 68)")):
        figure(np.ones((3, 68)), 8)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -0.5])
def test_figures_name_the_face_of_an_error_that_is_none(figure: Figure, value: float) -> None:
    with pytest.raises(InputError, match=f"NME of face 1 must be 0 or more, got {value}"):
        figure(np.array([1.0, value, 2.0]), 8)
