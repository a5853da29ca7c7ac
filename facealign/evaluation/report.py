"""From predicted landmarks to the figures that papers print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.evaluation.ced import auc_histogram_percent, auc_percent, failure_rate_percent
from facealign.evaluation.ground_truth import GroundTruth
from facealign.evaluation.landmark_error import landmark_errors_percent
from facealign.evaluation.normaliser import Normalisation, normalisers_px
from facealign.evaluation.pose import PoseError, pose_error

__all__ = ["EvaluationReport", "Score", "evaluate_landmarks"]


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one set of faces; all but `face_count` in percent.

    Attributes:
        face_count: F.
        nme_percent: Mean NME of the faces.
        nme_p90_percent: 90th percentile of the faces' NMEs, linear between two faces. (``nme_p90``
            of the authors; not to be confused with a percentile of single landmarks.)
        nme_p95_percent: The 95th.
        nme_p99_percent: The 99th.
        fr_percent: Share of faces above the threshold.
        auc_percent: Exact area under the CED up to the threshold.
        auc_histogram_percent: The same as the SPIGA authors publish it; compare this with theirs.
    """

    face_count: int
    nme_percent: float
    nme_p90_percent: float
    nme_p95_percent: float
    nme_p99_percent: float
    fr_percent: float
    auc_percent: float
    auc_histogram_percent: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Figures of all faces, of each subset and of each landmark.

    Attributes:
        scheme: Name of the landmark set.
        normalisation: What errors were divided by.
        threshold_percent: Where failure begins and AUC ends.
        overall: All faces.
        subsets: Per name, in the order of the ground truth.
        nme_per_landmark_percent: N means over all faces.
        npe_p90_per_landmark_percent: N 90th percentiles over all faces of the landmark's own
            normalised error: 9 of 10 faces have that landmark at least so well. (``npe90_per_ldm``
            of the authors.)
        npe_p95_per_landmark_percent: The 95th.
        npe_p99_per_landmark_percent: The 99th.
        pose: Where there is a pose on both sides.
    """

    scheme: str
    normalisation: Normalisation
    threshold_percent: float
    overall: Score
    subsets: Mapping[str, Score]
    nme_per_landmark_percent: tuple[float, ...]
    npe_p90_per_landmark_percent: tuple[float, ...]
    npe_p95_per_landmark_percent: tuple[float, ...]
    npe_p99_per_landmark_percent: tuple[float, ...]
    pose: PoseError | None = None


def evaluate_landmarks(
    predicted: NDArray[np.floating],
    truth: GroundTruth,
    *,
    normalisation: Normalisation,
    threshold_percent: float,
    predicted_pose: NDArray[np.floating] | None = None,
) -> EvaluationReport:
    """Return every figure of predicted landmarks.

    Args:
        predicted: ``(F, N, 2)``, frame pixels, in the order of `truth`.
        truth: The annotated faces.
        normalisation: What a face's errors are divided by.
        threshold_percent: NME above which a face is a failure; also where AUC ends.
        predicted_pose: ``(F, 3)`` yaw, pitch and roll in degrees.

    Raises:
        ShapeError: If shapes do not fit.
        InputError: If a value cannot be used, naming the face; if a subset is empty, has an index
            out of range or a face twice; if `predicted_pose` has no truth.

    Example:
        >>> import numpy as np
        >>> from facealign.spec import FACE68
        >>> landmarks = np.zeros((1, 68, 2))
        >>> landmarks[0, 45] = 50, 0  # the outer eye corners are 50 px apart
        >>> truth = GroundTruth(landmarks, FACE68)
        >>> report = evaluate_landmarks(
        ...     landmarks + [3, 4], truth, normalisation="corners", threshold_percent=8
        ... )
        >>> report.overall.nme_percent, report.overall.fr_percent
        (10.0, 100.0)
    """
    lengths = normalisers_px(truth.landmarks, normalisation, scheme=truth.scheme, boxes=truth.boxes)
    errors = landmark_errors_percent(predicted, truth.landmarks, normalisers_px=lengths)  # (F, N)
    nme = errors.mean(axis=1)
    npe_p90, npe_p95, npe_p99 = np.percentile(errors, (90, 95, 99), axis=0).tolist()
    return EvaluationReport(
        scheme=truth.scheme.name,
        normalisation=normalisation,
        threshold_percent=threshold_percent,
        overall=_score(nme, threshold_percent),
        subsets={
            name: _score(nme[_subset_indices(name, faces, len(nme))], threshold_percent)
            for name, faces in truth.subsets.items()
        },
        nme_per_landmark_percent=tuple(errors.mean(axis=0).tolist()),
        npe_p90_per_landmark_percent=tuple(npe_p90),
        npe_p95_per_landmark_percent=tuple(npe_p95),
        npe_p99_per_landmark_percent=tuple(npe_p99),
        pose=_pose(predicted_pose, truth),
    )


def _score(nme_percent: NDArray[np.float64], threshold_percent: float) -> Score:
    p90, p95, p99 = np.percentile(nme_percent, (90, 95, 99)).tolist()
    return Score(
        face_count=len(nme_percent),
        nme_percent=float(nme_percent.mean()),
        nme_p90_percent=p90,
        nme_p95_percent=p95,
        nme_p99_percent=p99,
        fr_percent=failure_rate_percent(nme_percent, threshold_percent),
        auc_percent=auc_percent(nme_percent, threshold_percent),
        auc_histogram_percent=auc_histogram_percent(nme_percent, threshold_percent),
    )


def _subset_indices(name: str, faces: Sequence[int], face_count: int) -> NDArray[np.intp]:
    indices = np.asarray(faces)
    if indices.size == 0:
        raise InputError(f"subset {name!r} is empty; leave it out")
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError(
            f"subset {name!r} must be a list of face indices, got {indices.dtype} of shape "
            f"{indices.shape}; of a mask pass `np.flatnonzero(mask)`"
        )
    outside = (indices < 0) | (indices >= face_count)
    if outside.any():
        raise InputError(
            f"subset {name!r} names face {indices[outside][0]}, but there are {face_count}, "
            "counted from 0; check that it belongs to this set"
        )
    values, counts = np.unique(indices, return_counts=True)
    if counts.max() > 1:
        raise InputError(
            f"subset {name!r} names face {values[np.argmax(counts)]} more than once; "
            "name each face once"
        )
    return indices.astype(np.intp)


def _pose(predicted_pose: NDArray[np.floating] | None, truth: GroundTruth) -> PoseError | None:
    if predicted_pose is None:
        return None
    if truth.pose is None:
        raise InputError("`predicted_pose` has no truth; pass `pose` in the ground truth too")
    return pose_error(predicted_pose, truth.pose)
