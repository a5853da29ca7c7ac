from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.datasets import AnnotatedFace, CropRule, ImageFile
from facealign.evaluation import GroundTruth, Jitter
from facealign.geometry import Placement, frame_from_crop
from facealign.pipeline.evaluation_result import PrecisionEvaluation
from facealign.pipeline.evaluation_scores import score_precisions
from facealign.pipeline.face_set import FaceSet
from facealign.spec import FACE68, CropSpec, SquareRule

PERCENT = 1e-4  # landmarks are float32; measured 4e-6
SIZE_PX = 100
EYES_NORM = 0.25
STILL = Jitter(1, 3, 0, 0, 0, 0, 0)
# INT8 is off by this much of the eyes' distance, FP32 by nothing: 10 faces of one kind, 12 others.
LOST_PERCENT = np.repeat([4.0, 1.0], [10, 12]) + np.tile([-0.5, 0.5], 11)
KINDS = {"lost": tuple(range(10)), "few": tuple(range(9)), "others": tuple(range(10, 22))}


@pytest.fixture
def reference() -> NDArray[np.float32]:
    """Return ``(22, 68, 2)`` landmarks whose outer eye corners are `EYES_NORM` apart."""
    landmarks = np.random.default_rng(0).uniform(0.2, 0.8, (22, 68, 2))
    landmarks[:, 45] = landmarks[:, 36] + [EYES_NORM, 0]
    return np.asarray(landmarks, np.float32)


@pytest.fixture
def face_set(reference: NDArray[np.float32]) -> FaceSet:
    """Return faces in squares of their own, whose truth is what FP32 finds."""
    rng = np.random.default_rng(1)
    placement = Placement(rng.uniform(50, 400, (22, 2)), rng.uniform(40, 300, 22))
    truth = GroundTruth(frame_from_crop(reference, placement), FACE68, subsets=KINDS)
    image = ImageFile("a.png", Path("a.png"))
    faces = tuple(AnnotatedFace(image, landmarks) for landmarks in truth.landmarks)
    rule = SquareRule(1.0, "exact")
    crop = CropRule(CropSpec(SIZE_PX, rule, rule), "landmarks")
    return FaceSet("mine", "test", FACE68, faces, 22, crop, placement, truth)


def int8_of(
    face_set: FaceSet, reference: NDArray[np.float32], own: NDArray[np.float32]
) -> PrecisionEvaluation:
    return score_precisions(
        {"fp32": reference, "int8": own},
        {"fp32": STILL, "int8": STILL},
        face_set,
        normalisation="corners",
        threshold_percent=10,
    )["int8"]


@pytest.fixture
def own(reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the landmarks of INT8: each face moved by its `LOST_PERCENT`."""
    moved: NDArray[np.float32] = reference.copy()
    moved[..., 1] += (LOST_PERCENT / 100 * EYES_NORM)[:, None]
    return moved


def test_each_face_has_drifted_by_its_share_of_its_eyes(
    face_set: FaceSet, reference: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    found = int8_of(face_set, reference, own)

    assert found.nme_percent is not None
    np.testing.assert_allclose(found.drift_percent, LOST_PERCENT, rtol=0, atol=PERCENT)
    np.testing.assert_allclose(found.nme_percent, LOST_PERCENT, rtol=0, atol=PERCENT)


def test_drift_is_a_share_of_the_eyes_of_fp32_and_not_of_its_own(
    face_set: FaceSet, reference: NDArray[np.float32]
) -> None:
    own = reference.copy()
    own[:, 45, 0] += EYES_NORM  # its eyes are twice as far apart

    found = int8_of(face_set, reference, own)

    assert found.drift is not None
    assert found.drift.max_percent == pytest.approx(100, abs=PERCENT)
    assert found.drift_percent.max() == pytest.approx(100 / 68, abs=PERCENT)


def test_subset_with_enough_faces_has_the_interval_of_its_own_faces(
    face_set: FaceSet, reference: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    found = int8_of(face_set, reference, own)

    means = {name: each.mean_percent for name, each in found.subset_differences.items()}
    counts = {name: each.face_count for name, each in found.subset_differences.items()}
    assert means == pytest.approx({"lost": 4, "others": 1}, abs=PERCENT)
    assert counts == {"lost": 10, "others": 12}
    assert 3.5 < found.subset_differences["lost"].low_percent < 4
    assert found.subset_differences["others"].high_percent < 1.5


def test_without_truth_there_is_drift_and_nothing_else(
    face_set: FaceSet, reference: NDArray[np.float32], own: NDArray[np.float32]
) -> None:
    found = int8_of(dataclasses.replace(face_set, truth=None), reference, own)

    assert found.drift is not None
    assert (found.report, found.nme_percent, found.difference) == (None, None, None)
    assert found.subset_differences == {}
