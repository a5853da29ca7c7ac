"""How good landmarks are, from arrays: NME, FR, AUC, pose error, and drift and jitter."""

from __future__ import annotations

from facealign.evaluation.ced import auc_histogram_percent, auc_percent, failure_rate_percent
from facealign.evaluation.ground_truth import GroundTruth
from facealign.evaluation.landmark_drift import (
    Drift,
    DriftLength,
    drift,
    drift_distances_px,
    drift_lengths_px,
)
from facealign.evaluation.landmark_error import landmark_errors_percent
from facealign.evaluation.landmark_jitter import Jitter, jitter
from facealign.evaluation.normaliser import NORMALISATIONS, Normalisation, normalisers_px
from facealign.evaluation.paired import (
    MIN_PAIRED_FACES,
    PairedDifference,
    paired_difference,
)
from facealign.evaluation.pose import PoseError, pose_error
from facealign.evaluation.report import EvaluationReport, Score, evaluate_landmarks
from facealign.evaluation.trembling import (
    Trembling,
    reference_px_from_crops,
    trembling_crops,
    trembling_placement,
)

__all__ = [
    "MIN_PAIRED_FACES",
    "NORMALISATIONS",
    "Drift",
    "DriftLength",
    "EvaluationReport",
    "GroundTruth",
    "Jitter",
    "Normalisation",
    "PairedDifference",
    "PoseError",
    "Score",
    "Trembling",
    "auc_histogram_percent",
    "auc_percent",
    "drift",
    "drift_distances_px",
    "drift_lengths_px",
    "evaluate_landmarks",
    "failure_rate_percent",
    "jitter",
    "landmark_errors_percent",
    "normalisers_px",
    "paired_difference",
    "pose_error",
    "reference_px_from_crops",
    "trembling_crops",
    "trembling_placement",
]
