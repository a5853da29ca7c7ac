from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError, ShapeError
from facealign.evaluation import MIN_PAIRED_FACES, paired_difference

EXACT = 1e-12  # measured 2e-15
# Ends of an interval by another way, in its half-widths; measured 0.032.
HALF_WIDTHS = 0.1
SKEW_ENDS = 0.02  # of the end; measured 0.009: 10 000 resamples against 100 000
SETS = 200
HELD = 0.88  # of 95 % intervals of 40 normal differences; measured 0.935 of these 200


def test_paired_difference_is_the_difference_of_the_means() -> None:
    reference = np.linspace(3, 9, 12)
    nme = reference + np.linspace(-1, 2, 12)

    found = paired_difference(nme, reference)

    assert found.mean_percent == pytest.approx(0.5, abs=EXACT)
    assert found.low_percent < 0.5 < found.high_percent
    assert (found.confidence, found.face_count) == (0.95, 12)


@pytest.mark.parametrize("shift", [0.0, 0.1, -3.0])
def test_interval_has_no_width_where_all_faces_differ_by_the_same(
    rng: np.random.Generator, shift: float
) -> None:
    reference = rng.uniform(2, 30, 40)

    found = paired_difference(reference + shift, reference)

    ends = (found.low_percent, found.mean_percent, found.high_percent)
    assert ends == pytest.approx((shift,) * 3, abs=EXACT)


def test_interval_is_that_of_students_formula_for_many_normal_differences(
    rng: np.random.Generator,
) -> None:
    differences = rng.normal(0.3, 2, 400)
    half_width = 1.96 * differences.std(ddof=1) / 20

    found = paired_difference(differences, np.zeros(400))

    low, high = differences.mean() - half_width, differences.mean() + half_width
    assert found.low_percent == pytest.approx(low, abs=HALF_WIDTHS * half_width)
    assert found.high_percent == pytest.approx(high, abs=HALF_WIDTHS * half_width)


def test_interval_leaves_out_what_makes_faces_hard_for_both(rng: np.random.Generator) -> None:
    reference = rng.uniform(2, 60, 50)
    nme = reference + rng.normal(0.1, 0.01, 50)

    found = paired_difference(nme, reference)

    assert 0.09 < found.low_percent < found.high_percent < 0.11


def test_interval_leans_to_the_side_of_the_few_faces_that_are_lost() -> None:
    differences = np.zeros(100)
    differences[:5] = 10

    found = paired_difference(differences, np.zeros(100))

    below = found.mean_percent - found.low_percent
    above = found.high_percent - found.mean_percent
    assert above > 1.3 * below  # measured 2.0; a percentile interval has 1.25


def test_interval_of_skew_differences_is_that_of_scipy() -> None:
    differences = np.random.default_rng(3).lognormal(0, 1.2, 30)

    found = paired_difference(differences, np.zeros(30))

    # scipy.stats.bootstrap of SciPy 1.17.1, BCa, 100 000 resamples. Without the correction of bias
    # it would be 1.378 to 9.716, and a percentile interval 1.174 to 7.594.
    assert found.low_percent == pytest.approx(1.546, rel=SKEW_ENDS)
    assert found.high_percent == pytest.approx(10.888, rel=SKEW_ENDS)


def test_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draws = [np.random.default_rng([20, turn]).normal(1, 3, 40) for turn in range(SETS)]

    found = [paired_difference(each, np.zeros(40)) for each in draws]

    held = np.mean([each.low_percent <= 1 <= each.high_percent for each in found])
    assert HELD <= held < 1


def test_interval_widens_with_the_confidence(rng: np.random.Generator) -> None:
    differences = rng.normal(0, 1, 30)

    narrow = paired_difference(differences, np.zeros(30), confidence=0.5)
    wide = paired_difference(differences, np.zeros(30), confidence=0.99)

    assert wide.low_percent < narrow.low_percent < narrow.high_percent < wide.high_percent


def test_paired_difference_is_the_same_for_the_same_seed_only(rng: np.random.Generator) -> None:
    differences = rng.normal(0, 1, 30)

    first = paired_difference(differences, np.zeros(30), seed=3)

    assert first == paired_difference(differences, np.zeros(30), seed=3)
    assert first != paired_difference(differences, np.zeros(30), seed=4)


def test_more_faces_than_a_block_of_draws_are_resampled_in_rows(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    differences = rng.normal(0, 1, 30)
    whole = paired_difference(differences, np.zeros(30))
    monkeypatch.setattr("facealign.evaluation.paired._BLOCK_DRAWS", 20)

    in_rows = paired_difference(differences, np.zeros(30))

    assert in_rows == whole


@pytest.mark.parametrize(
    ("nme", "error", "message"),
    [
        pytest.param(np.ones(11), ShapeError, r"both, got \(11,\) and \(12,\); pass", id="counts"),
        pytest.param(np.ones((12, 1)), ShapeError, r"must be \(F,\) both", id="shape"),
        pytest.param(
            np.where(np.arange(12) == 7, np.nan, 1.0),
            InputError,
            "must be finite, got nan at face 7",
            id="nan",
        ),
    ],
)
def test_paired_difference_refuses_what_it_cannot_compare(
    nme: NDArray[np.float64], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        paired_difference(nme, np.ones(12))


def test_paired_difference_refuses_too_few_faces() -> None:
    few = np.ones(MIN_PAIRED_FACES - 1)

    with pytest.raises(InputError, match="an interval needs 10 faces or more, got 9; pass more"):
        paired_difference(few, few)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, float("nan")])
def test_paired_difference_refuses_a_confidence_that_is_none(confidence: float) -> None:
    with pytest.raises(InputError, match="`confidence` must be between 0 and 1"):
        paired_difference(np.ones(12), np.ones(12), confidence=confidence)
