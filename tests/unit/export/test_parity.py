"""Parity of plain functions on small crops, where every distance is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import ParityError
from facealign.export.crops import NamedCrop
from facealign.export.parity import BATCH_SIZES, OutputFunction, measure_parity
from facealign.export.parity_report import PARITY_BAR_PX, check_parity

Pixels = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
Outputs = dict[str, NDArray[Any]]

SIZE_PX = 8
N = 5
CROPS = tuple(
    NamedCrop(f"grey {grey}", np.full((SIZE_PX, SIZE_PX, 3), grey, np.uint8)) for grey in range(20)
)
ROUNDING_PX = 1e-5  # max measured 2e-7: float32 near 1, times 8 px


def reference(pixels: Pixels) -> Outputs:
    """Return (B, 5, 2) landmarks that tell the grey level of the crop."""
    return {"landmarks": landmarks_of(pixels)}


def landmarks_of(pixels: Pixels) -> Landmarks:
    grey = pixels[:, 0, 0, 0].astype(np.float32) / 255
    return np.multiply.outer(grey, np.ones((N, 2), np.float32))


def moved(landmarks: Landmarks, x_px: float, y_px: float) -> Landmarks:
    step = np.array([x_px, y_px]) / SIZE_PX
    return np.asarray(landmarks + step, np.float32)


def moved_by(distance_px: float, *, grey: int, landmark: int = 2) -> OutputFunction:
    """Return the reference with one landmark of one crop moved in y."""

    def candidate(pixels: Pixels) -> Outputs:
        landmarks = landmarks_of(pixels)
        landmarks[pixels[:, 0, 0, 0] == grey, landmark, 1] += distance_px / SIZE_PX
        return {"landmarks": landmarks}

    return candidate


def in_batches_of(size: int, shift_px: float) -> OutputFunction:
    """Return the reference, moved in batches of one size."""

    def candidate(pixels: Pixels) -> Outputs:
        shift = {size: shift_px}.get(len(pixels), 0.0)
        return {"landmarks": moved(landmarks_of(pixels), shift, 0)}

    return candidate


def test_measure_parity_is_zero_for_same_function() -> None:
    report = measure_parity(reference, reference, CROPS)

    assert (report.max_px, report.p99_px, report.batch_px) == (0, 0, 0)
    assert report.passed


def test_measure_parity_gives_distance_in_crop_pixels() -> None:
    report = measure_parity(reference, moved_by(0.5, grey=11), CROPS)

    assert report.max_px == pytest.approx(0.5, abs=ROUNDING_PX)
    assert not report.passed


def test_measure_parity_names_worst_crop_and_landmark() -> None:
    report = measure_parity(reference, moved_by(0.5, grey=11, landmark=3), CROPS)

    assert (report.worst_crop, report.worst_landmark) == ("grey 11", 3)


def test_measure_parity_gives_euclidean_distance() -> None:
    def candidate(pixels: Pixels) -> Outputs:
        return {"landmarks": moved(landmarks_of(pixels), 0.3, 0.4)}

    report = measure_parity(reference, candidate, CROPS)

    assert report.max_px == pytest.approx(0.5, abs=ROUNDING_PX)


@pytest.mark.parametrize(
    ("moved", "expected_px"),
    [
        pytest.param(1, 0.5, id="one-of-a-hundred-landmarks"),
        pytest.param(0, 0.0, id="none"),
    ],
)
def test_measure_parity_gives_99th_percentile_of_all_landmarks(
    moved: int, expected_px: float
) -> None:
    report = measure_parity(reference, moved_by(0.5 * moved, grey=4), CROPS[:20])

    # 20 crops of 5 landmarks: one hundred, and "higher" takes the upper neighbour.
    assert report.p99_px == pytest.approx(expected_px, abs=ROUNDING_PX)


def test_measure_parity_believes_the_exact_module_where_the_plain_one_differs() -> None:
    asked: list[list[int]] = []

    def exact(pixels: Pixels) -> Outputs:
        asked.append(pixels[:, 0, 0, 0].tolist())
        return reference(pixels)

    report = measure_parity(moved_by(0.5, grey=11), reference, CROPS, exact=exact)

    assert asked == [[11]]
    assert report.max_px == 0
    assert report.passed


def test_measure_parity_sees_a_fault_that_the_exact_module_has_not() -> None:
    report = measure_parity(reference, moved_by(0.5, grey=11), CROPS, exact=reference)

    assert report.max_px == pytest.approx(0.5, abs=ROUNDING_PX)
    assert not report.passed


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_measure_parity_sees_fault_of_one_batch_size(size: int) -> None:
    report = measure_parity(reference, in_batches_of(size, 0.5), CROPS)

    assert report.max_px == pytest.approx(0.5, abs=ROUNDING_PX)
    assert report.worst_batch == size


def test_measure_parity_sees_dependence_on_neighbours_below_the_bar() -> None:
    def candidate(pixels: Pixels) -> Outputs:
        sign = float(np.sign(len(pixels) - 4))
        return {"landmarks": moved(landmarks_of(pixels), 0.9 * PARITY_BAR_PX * sign, 0)}

    report = measure_parity(reference, candidate, CROPS)

    assert report.max_px <= PARITY_BAR_PX
    assert report.batch_px == pytest.approx(1.8 * PARITY_BAR_PX, abs=ROUNDING_PX)
    with pytest.raises(ParityError, match=r"landmarks move by 0\.018 px with the other crops of"):
        check_parity(report)


def test_measure_parity_sees_first_crop_repeated() -> None:
    def candidate(pixels: Pixels) -> Outputs:
        return {"landmarks": np.repeat(landmarks_of(pixels)[:1], len(pixels), axis=0)}

    report = measure_parity(reference, candidate, CROPS)

    assert not report.passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_broken", ["reference", "candidate", "both"])
def test_measure_parity_never_passes_what_is_no_number(value: float, is_broken: str) -> None:
    def broken(pixels: Pixels) -> Outputs:
        landmarks = landmarks_of(pixels)
        landmarks[pixels[:, 0, 0, 0] == 13, 1, 0] = value
        return {"landmarks": landmarks}

    functions = {
        "reference": (broken, reference),
        "candidate": (reference, broken),
        "both": (broken, broken),
    }

    report = measure_parity(*functions[is_broken], CROPS)

    assert report.max_px == np.inf
    assert not report.passed
    assert (report.worst_crop, report.worst_landmark) == ("grey 13", 1)


@pytest.mark.parametrize("count", [1, 2])
def test_measure_parity_refuses_baked_batch(count: int) -> None:
    def candidate(pixels: Pixels) -> Outputs:
        return {"landmarks": np.resize(landmarks_of(pixels), (count, N, 2))}

    with pytest.raises(
        ParityError,
        match=rf"a batch of 8 crops gave landmarks of shape \({count}, 5, 2\); the batch is baked",
    ):
        measure_parity(reference, candidate, CROPS)


def test_measure_parity_compares_every_crop() -> None:
    report = measure_parity(reference, moved_by(0.5, grey=19), CROPS)

    assert report.worst_crop == "grey 19"
    assert report.crop_count == len(CROPS)


def test_measure_parity_tells_how_far_it_is() -> None:
    steps: list[int] = []

    measure_parity(reference, reference, CROPS, progress=steps.append)

    assert sum(steps) == 3 * len(CROPS)


def test_measure_parity_takes_another_bar() -> None:
    report = measure_parity(reference, moved_by(0.5, grey=11), CROPS, bar_px=0.6)

    assert report.passed


def test_measure_parity_rejects_landmarks_of_another_count() -> None:
    def one_landmark(crops: Pixels) -> Outputs:
        return {"landmarks": landmarks_of(crops)[:, :1]}

    with pytest.raises(ParityError, match=r"the graph gave landmarks of shape .*, the module"):
        measure_parity(reference, one_landmark, CROPS)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_measure_parity_runs_batches_of_each_size(size: int) -> None:
    sizes: list[int] = []

    def noting(crops: Pixels) -> Outputs:
        sizes.append(len(crops))
        return reference(crops)

    measure_parity(reference, noting, CROPS)

    assert size in sizes


def with_pose(error: float) -> OutputFunction:
    """Return the reference with a pose whose largest value is 10."""

    def function(pixels: Pixels) -> Outputs:
        pose = np.full((len(pixels), 6), 10, np.float32)
        pose[pixels[:, 0, 0, 0] == 7, 3] += error
        return {**reference(pixels), "pose": pose}

    return function


def test_measure_parity_compares_every_other_output_too() -> None:
    report = measure_parity(with_pose(0), with_pose(0.5), CROPS)

    assert report.max_px == 0
    assert report.extra == {"pose": pytest.approx(0.05)}
    with pytest.raises(ParityError, match=r"module differ in `pose` by 0\.05 of its largest value"):
        check_parity(report)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_measure_parity_never_passes_other_output_that_is_no_number(value: float) -> None:
    report = measure_parity(with_pose(0), with_pose(value), CROPS)

    assert report.extra == {"pose": np.inf}
    assert not report.passed


def test_measure_parity_refuses_output_that_module_does_not_give() -> None:
    with pytest.raises(ParityError, match=r"gave pose of shape \(20, 6\), the module nothing"):
        measure_parity(reference, with_pose(0), CROPS)


def with_undecided(count: int) -> OutputFunction:
    """Return the reference, of which the first landmarks of every crop are undecided."""

    def function(pixels: Pixels) -> Outputs:
        undecided = np.zeros((len(pixels), N), bool)
        undecided[:, :count] = True
        return {**reference(pixels), "undecided": undecided}

    return function


def test_measure_parity_passes_over_what_is_undecided() -> None:
    candidate = moved_by(0.5, grey=11, landmark=1)

    report = measure_parity(with_undecided(2), candidate, CROPS)

    assert report.max_px == 0
    assert (report.undecided_count, report.landmark_count) == (40, 100)
    check_parity(report)


def test_measure_parity_compares_what_is_decided_beside_what_is_not() -> None:
    report = measure_parity(with_undecided(2), moved_by(0.5, grey=11, landmark=2), CROPS)

    assert report.max_px == pytest.approx(0.5, abs=ROUNDING_PX)


def test_check_parity_refuses_to_call_it_proved_where_most_is_undecided() -> None:
    report = measure_parity(with_undecided(3), reference, CROPS)

    with pytest.raises(ParityError, match="60 of 100 landmarks hang on rounding in the module"):
        check_parity(report)
