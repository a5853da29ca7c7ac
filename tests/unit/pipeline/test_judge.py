"""Shifts that are known beforehand, and what a judge says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.pipeline.judge import HeldOut, Judge, RunCrops, open_judge
from facealign.spec import COFW29, WFLW98, Scheme

Landmarks = NDArray[np.float64]
FACES, SIZE_PX, N = 12, 64, WFLW98.landmark_count
EYES = (60, 72)
EYES_PX = 32.0
SAME = 1e-9  # of float64 sums; measured 4e-15
HALF_ULP_PX = 1e-5  # landmarks are float32 fractions of 64 px; measured 4e-6


def ring() -> Landmarks:
    """Return ``(FACES, N, 2)`` landmarks, crop pixels, with the eyes `EYES_PX` apart."""
    angle = np.linspace(0, 2 * np.pi, N, endpoint=False)
    face = 32 + 20 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    face[EYES[0]], face[EYES[1]] = (16, 30), (16 + EYES_PX, 30)
    return np.asarray(np.tile(face, (FACES, 1, 1)), np.float64)


def gives(landmarks_px: Landmarks) -> RunCrops:
    return lambda crops: landmarks_px / crops.shape[1]


def held_out(
    truth_px: Landmarks | None = None,
    *,
    subsets: Mapping[str, Sequence[int]] | None = None,
    crops_from: str = "box",
) -> HeldOut:
    crops = np.zeros((FACES, SIZE_PX, SIZE_PX, 3), np.uint8)
    return HeldOut("made up", crops_from, crops, truth_px, subsets or {})


def judge_of(held: HeldOut, found_px: Landmarks | None = None, scheme: Scheme = WFLW98) -> Judge:
    return open_judge(held, gives(ring() if found_px is None else found_px), scheme=scheme)


def moved(by_px: tuple[float, float], landmarks: Landmarks | None = None) -> Landmarks:
    return np.asarray((ring() if landmarks is None else landmarks) + np.array(by_px), np.float64)


def test_judge_finds_nothing_where_nothing_differs() -> None:
    judge = judge_of(held_out(moved((1, 0))))

    found = judge.judge(gives(ring()))

    assert (found.p99_px, found.max_px, found.drift_percent) == (0, 0, 0)
    assert (found.change_points, found.change_interval) == (0, (0, 0))
    assert found.nme_percent == judge.nme_fp32_percent


def test_judge_measures_a_shift_in_pixels_and_percent_of_the_eyes() -> None:
    judge = judge_of(held_out())

    found = judge.judge(gives(moved((3, 4))))

    expected = 100 * 5 / EYES_PX
    assert (found.p99_px, found.max_px) == pytest.approx((5, 5))
    assert (found.drift_percent, found.change_points) == pytest.approx((expected, expected))
    assert found.change_interval == pytest.approx((expected, expected))
    assert (found.nme_percent, judge.nme_fp32_percent) == (None, None)


def test_judge_measures_the_change_of_nme_against_the_truth() -> None:
    judge = judge_of(held_out(moved((-2, 0))))

    found = judge.judge(gives(moved((1, 0))))

    assert judge.nme_fp32_percent == pytest.approx(100 * 2 / EYES_PX)
    assert found.nme_percent == pytest.approx(100 * 3 / EYES_PX)
    assert found.change_points == pytest.approx(100 * 1 / EYES_PX)
    assert found.drift_percent == pytest.approx(100 * 1 / EYES_PX)


def test_judge_lets_a_graph_be_better_than_fp32() -> None:
    judge = judge_of(held_out(moved((2, 0))))

    found = judge.judge(gives(moved((1, 0))))

    assert found.change_points == pytest.approx(-100 / EYES_PX)
    assert found.drift_percent == pytest.approx(100 / EYES_PX)


def test_p99_passes_over_one_landmark_in_a_hundred_and_the_largest_does_not() -> None:
    one_off = ring()
    one_off[:, 0] += (0, 7)  # 1 of 98: just above a hundredth of them
    few_off = ring()
    few_off[0, 0] += (0, 7)
    judge = judge_of(held_out())

    many, few = judge.judge(gives(one_off)), judge.judge(gives(few_off))

    assert (many.p99_px, many.max_px) == pytest.approx((7, 7))
    assert (few.p99_px, few.max_px) == pytest.approx((0, 7))


def test_judge_states_the_change_of_each_subset() -> None:
    found_px = ring()
    found_px[:3] += (4, 0)
    judge = judge_of(held_out(ring(), subsets={"pose": (0, 1), "blur": (2, 3), "makeup": (11,)}))

    found = judge.judge(gives(found_px))

    whole = 100 * 4 / EYES_PX
    assert found.subset_points == pytest.approx({"pose": whole, "blur": whole / 2, "makeup": 0.0})
    assert found.change_points == pytest.approx(whole * 3 / FACES)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("truth", [None, ring()], ids=["boxes", "annotated"])
def test_judge_gives_infinities_where_one_landmark_is_no_number(
    bad: float, truth: Landmarks | None
) -> None:
    found_px = ring()
    found_px[4, 50, 1] = bad

    found = judge_of(held_out(truth)).judge(gives(found_px))

    costs = (found.p99_px, found.max_px, found.drift_percent, found.change_points)
    assert costs == (np.inf,) * 4
    assert found.change_interval == (np.inf, np.inf)


@pytest.mark.parametrize(
    ("truth", "expected"), [(None, None), (ring(), np.inf)], ids=["boxes", "annotated"]
)
def test_judge_of_no_numbers_has_an_nme_only_with_annotations(
    truth: Landmarks | None, expected: float | None
) -> None:
    judge = judge_of(held_out(truth, subsets={"pose": (0, 1)}))

    found = judge.judge(gives(np.full_like(ring(), np.nan)))

    assert found.nme_percent == expected
    assert found.subset_points == {"pose": np.inf}


offsets = arrays(np.float64, (2, FACES, N, 2), elements=st.floats(-9, 9, width=32))


@settings(deadline=None, max_examples=25)
@given(offsets=offsets)
def test_drift_without_annotations_bounds_the_change_of_nme(offsets: Landmarks) -> None:
    truth, found_px = ring() + offsets[0], ring() + offsets[1]
    truth[:, EYES] = ring()[:, EYES]  # so that both judges divide by the same

    blind = judge_of(held_out()).judge(gives(found_px))
    seeing = judge_of(held_out(truth)).judge(gives(found_px))

    assert blind.change_points == pytest.approx(blind.drift_percent)
    assert abs(seeing.change_points) <= blind.change_points + SAME


def test_judge_does_not_depend_on_the_type_of_the_landmarks() -> None:
    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(moved((3, 4)) / crops.shape[1], np.float32)

    found = judge_of(held_out()).judge(run)

    assert found.p99_px == pytest.approx(5, abs=HALF_ULP_PX)


def test_open_judge_divides_by_the_annotated_eyes_where_there_are_some() -> None:
    wide = ring()
    wide[:, EYES[1], 0] += EYES_PX

    judge = judge_of(held_out(wide))

    assert judge.normalisation == "corners"
    np.testing.assert_allclose(judge.normalisers_px, 2 * EYES_PX)


def test_open_judge_divides_by_the_box_where_no_eyes_are_known() -> None:
    corners = np.tile(np.linspace((10, 10), (46, 26), 29), (FACES, 1, 1))

    judge = judge_of(held_out(), corners, COFW29)

    assert judge.normalisation == "box"
    assert np.ptp(judge.normalisers_px) == 0
    assert judge.normalisers_px[0] == pytest.approx(np.sqrt(36 * 16))


def test_open_judge_divides_by_the_crop_where_there_are_no_faces() -> None:
    nothing = np.zeros((FACES, N, 2))

    judge = judge_of(held_out(crops_from="none"), nothing)

    assert judge.normalisers_px.tolist() == [SIZE_PX] * FACES


def test_open_judge_refuses_faces_without_eyes() -> None:
    with pytest.raises(InputError, match="must be a length above 0, got 0 px"):
        judge_of(held_out(), np.zeros((FACES, N, 2)))
