"""How good landmarks are: NME, FR, AUC and pose error, from arrays; numpy only."""

from __future__ import annotations

from facealign.evaluation.ced import auc_histogram_percent, auc_percent, failure_rate_percent
from facealign.evaluation.ground_truth import GroundTruth
from facealign.evaluation.landmark_error import landmark_errors_percent
from facealign.evaluation.normaliser import NORMALISATIONS, Normalisation, normalisers_px
from facealign.evaluation.pose import PoseError, pose_error
from facealign.evaluation.report import EvaluationReport, Score, evaluate_landmarks

__all__ = [
    "NORMALISATIONS",
    "EvaluationReport",
    "GroundTruth",
    "Normalisation",
    "PoseError",
    "Score",
    "auc_histogram_percent",
    "auc_percent",
    "evaluate_landmarks",
    "failure_rate_percent",
    "landmark_errors_percent",
    "normalisers_px",
    "pose_error",
]
