from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.evaluation import (
    EvaluationReport,
    GroundTruth,
    PoseError,
    auc_histogram_percent,
    auc_percent,
    evaluate_landmarks,
)
from facealign.spec import FACE68

PERCENT = 1e-12  # measured 2e-15
BIN_PERCENT = 0.01  # AUC of a face that rounding moves to the next bin: 0.003; measured 0
EYE_DISTANCE_PX = 50.0
OFFSETS_PX = np.array([1.0, 2.0, 3.0, 6.0])  # of the four faces: NMEs of 2, 4, 6 and 12 %


@pytest.fixture
def truth() -> GroundTruth:
    landmarks = np.zeros((4, 68, 2))
    landmarks[:, 45, 0] = EYE_DISTANCE_PX
    subsets = {"good": [0, 1], "bad": [3], "all": [3, 1, 0, 2]}
    return GroundTruth(landmarks, FACE68, pose=np.zeros((4, 3)), subsets=subsets)


@pytest.fixture
def predicted(truth: GroundTruth) -> NDArray[np.float64]:
    offsets = OFFSETS_PX[:, None, None] * np.array([0.6, -0.8])  # (4, 1, 2)
    return np.asarray(truth.landmarks + offsets, np.float64)


def _evaluate(predicted: NDArray[np.float64], truth: GroundTruth) -> EvaluationReport:
    return evaluate_landmarks(predicted, truth, normalisation="corners", threshold_percent=8)


def test_report_scores_all_faces(truth: GroundTruth, predicted: NDArray[np.float64]) -> None:
    score = _evaluate(predicted, truth).overall

    nme = np.array([2.0, 4.0, 6.0, 12.0])
    assert score.face_count == 4
    assert score.nme_percent == pytest.approx(6, abs=PERCENT)
    assert score.nme_p90_percent == pytest.approx(6 + 0.7 * 6, abs=PERCENT)  # rank 2.7 of 0 to 3
    assert score.nme_p95_percent == pytest.approx(6 + 0.85 * 6, abs=PERCENT)
    assert score.nme_p99_percent == pytest.approx(6 + 0.97 * 6, abs=PERCENT)
    assert score.fr_percent == 25
    assert score.auc_percent == pytest.approx(auc_percent(nme, 8), abs=PERCENT)
    histogram = auc_histogram_percent(nme, 8)
    assert score.auc_histogram_percent == pytest.approx(histogram, abs=BIN_PERCENT)


def test_report_takes_the_mean_over_the_landmarks_of_a_face(truth: GroundTruth) -> None:
    predicted = truth.landmarks.copy()
    predicted[:, 7, 1] += 68  # one landmark of 68 is off by 136 %

    score = _evaluate(predicted, truth).overall

    assert score.nme_percent == pytest.approx(2, abs=PERCENT)
    assert score.fr_percent == 0


@pytest.mark.parametrize(
    ("name", "face_count", "nme_percent", "fr_percent"),
    [
        pytest.param("good", 2, 3, 0, id="two-faces"),
        pytest.param("bad", 1, 12, 100, id="one-face"),
        pytest.param("all", 4, 6, 25, id="another-order"),
    ],
)
def test_report_scores_each_subset(
    truth: GroundTruth,
    predicted: NDArray[np.float64],
    name: str,
    face_count: int,
    nme_percent: float,
    fr_percent: float,
) -> None:
    score = _evaluate(predicted, truth).subsets[name]

    assert score.face_count == face_count
    assert score.nme_percent == pytest.approx(nme_percent, abs=PERCENT)
    assert score.fr_percent == fr_percent


def test_report_keeps_the_order_of_the_subsets(
    truth: GroundTruth, predicted: NDArray[np.float64]
) -> None:
    assert list(_evaluate(predicted, truth).subsets) == ["good", "bad", "all"]


def test_report_tells_landmarks_apart(truth: GroundTruth, predicted: NDArray[np.float64]) -> None:
    predicted[:, 7] = truth.landmarks[:, 7]

    report = _evaluate(predicted, truth)

    assert len(report.nme_per_landmark_percent) == 68
    assert report.nme_per_landmark_percent[7] == 0
    assert report.npe_p90_per_landmark_percent[7] == 0
    assert report.nme_per_landmark_percent[8] == pytest.approx(6, abs=PERCENT)
    assert report.npe_p90_per_landmark_percent[8] == pytest.approx(6 + 0.7 * 6, abs=PERCENT)
    assert report.npe_p95_per_landmark_percent[8] == pytest.approx(6 + 0.85 * 6, abs=PERCENT)
    assert report.npe_p99_per_landmark_percent[8] == pytest.approx(6 + 0.97 * 6, abs=PERCENT)


def test_report_says_how_it_was_made(truth: GroundTruth, predicted: NDArray[np.float64]) -> None:
    report = _evaluate(predicted, truth)

    assert (report.scheme, report.normalisation, report.threshold_percent) == (
        "300w68",
        "corners",
        8,
    )


def test_report_has_a_pose_error_only_when_a_pose_was_predicted(
    truth: GroundTruth, predicted: NDArray[np.float64]
) -> None:
    pose = np.tile([1.0, 2.0, 3.0], (4, 1))

    report = evaluate_landmarks(
        predicted, truth, normalisation="corners", threshold_percent=8, predicted_pose=pose
    )

    assert report.pose == PoseError(1, 2, 3)
    assert _evaluate(predicted, truth).pose is None


def test_report_divides_by_the_boxes_of_the_ground_truth(
    truth: GroundTruth, predicted: NDArray[np.float64]
) -> None:
    boxes = np.tile([0.0, 0.0, 30.0, 40.0], (4, 1))
    with_boxes = dataclasses.replace(truth, boxes=boxes)

    report = evaluate_landmarks(
        predicted, with_boxes, normalisation="diagonal", threshold_percent=8
    )

    assert report.overall.nme_percent == pytest.approx(6, abs=PERCENT)


def test_report_refuses_a_pose_without_truth(
    truth: GroundTruth, predicted: NDArray[np.float64]
) -> None:
    without_pose = dataclasses.replace(truth, pose=None)

    with pytest.raises(InputError, match="`predicted_pose` has no truth; pass `pose`"):
        evaluate_landmarks(
            predicted,
            without_pose,
            normalisation="corners",
            threshold_percent=8,
            predicted_pose=np.zeros((4, 3)),
        )


@pytest.mark.parametrize(
    ("faces", "message"),
    [
        pytest.param([], "subset 'odd' is empty; leave it out", id="empty"),
        pytest.param([0, 4], "subset 'odd' names face 4, but there are 4", id="too-large"),
        pytest.param([0, -1], "subset 'odd' names face -1, but there are 4", id="negative"),
        pytest.param([2, 0, 2], "subset 'odd' names face 2 more than once", id="twice"),
        pytest.param([0.0, 1.0], "must be a list of face indices, got float64", id="float"),
        pytest.param(
            [True, False, True, True],
            r"got bool of shape \(4,\); of a mask pass `np.flatnonzero",
            id="mask",
        ),
        pytest.param([[0], [1]], r"of shape \(2, 1\)", id="two-dimensional"),
    ],
)
def test_report_refuses_a_subset_that_is_no_list_of_its_faces(
    truth: GroundTruth, predicted: NDArray[np.float64], faces: Sequence[int], message: str
) -> None:
    odd = dataclasses.replace(truth, subsets={"good": [0], "odd": faces})

    with pytest.raises(InputError, match=message):
        _evaluate(predicted, odd)
