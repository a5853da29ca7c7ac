"""What an evaluation found, and the same as plain facts for a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Manifest
from facealign.evaluation import Drift, EvaluationReport, Jitter, PairedDifference
from facealign.evaluation.normaliser import Normalisation
from facealign.pipeline.face_set import FaceSet

__all__ = [
    "REFERENCE",
    "Evaluation",
    "PrecisionEvaluation",
    "facts_from_evaluation",
    "nme_unit",
]

REFERENCE = "fp32"  # the graph that the others are compared with

_NME_UNITS = {
    "corners": "the distance of the outer eye corners",
    "pupils": "the distance of the pupils",
    "box": "the size of the box around the landmarks",
}
_PER_LANDMARK = (
    "nme_per_landmark_percent",
    "npe_p90_per_landmark_percent",
    "npe_p95_per_landmark_percent",
    "npe_p99_per_landmark_percent",
)


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionEvaluation:
    """What was measured on one graph.

    Attributes:
        landmarks: ``(F, N, 2)`` float64, frame pixels.
        drift_percent: ``(F,)`` float64: mean distance of each face's landmarks from those of the
            reference, in percent of what `drift` is; 0 for the reference itself.
        jitter: How much its landmarks tremble.
        drift: How far they are from the reference's; None for the reference itself.
        report: Its scores; None without labels.
        nme_percent: ``(F,)`` float64, NME of each face; None without labels.
        difference: Its mean NME against the reference's; None for the reference itself, without
            labels, and where there are too few faces for an interval.
        subset_differences: The same for each subset that has enough faces.
    """

    landmarks: NDArray[np.float64]
    drift_percent: NDArray[np.float64]
    jitter: Jitter
    drift: Drift | None = None
    report: EvaluationReport | None = None
    nme_percent: NDArray[np.float64] | None = None
    difference: PairedDifference | None = None
    subset_differences: Mapping[str, PairedDifference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was measured on the graphs of a bundle.

    Attributes:
        manifest: Of the bundle.
        engine_name: What ran the graphs.
        face_set: The faces, and how they were cropped.
        normalisation: What errors were divided by.
        threshold_percent: Where failure begins and AUC ends.
        jitter_faces: Indices of the faces that were made to tremble.
        precisions: By name, the reference first.
    """

    manifest: Manifest
    engine_name: str
    face_set: FaceSet
    normalisation: Normalisation
    threshold_percent: float
    jitter_faces: tuple[int, ...]
    precisions: Mapping[str, PrecisionEvaluation]


def facts_from_evaluation(evaluation: Evaluation, *, with_faces: bool) -> dict[str, object]:
    """Return an evaluation as plain values; the same evaluation gives the same, in one order.

    Args:
        evaluation: What was found.
        with_faces: Whether to list every face with its NME and drift.
    """
    face_set, manifest = evaluation.face_set, evaluation.manifest
    is_labelled = face_set.truth is not None
    facts: dict[str, object] = {
        "family": manifest.family,
        "scheme": manifest.scheme,
        "checkpoint_sha256": manifest.checkpoint.sha256,
        "engine": evaluation.engine_name,
        "data_set": face_set.name,
        "split": face_set.split,
        "face_count": len(face_set.faces),
        "total_count": face_set.total_count,
        "is_labelled": is_labelled,
        "crops": _crop_facts(face_set),
        "normalisation": evaluation.normalisation if is_labelled else None,
        "threshold_percent": evaluation.threshold_percent if is_labelled else None,
        "reference": REFERENCE,
        "jitter_faces": list(evaluation.jitter_faces),
        "precisions": {
            name: _precision_facts(found) for name, found in evaluation.precisions.items()
        },
    }
    return facts | ({"faces": _face_facts(evaluation)} if with_faces else {})


def nme_unit(normalisation: Normalisation) -> str:
    """Return what an NME is a percentage of, for people."""
    return _NME_UNITS.get(normalisation, f"the data set's box ({normalisation})")


def _crop_facts(face_set: FaceSet) -> dict[str, object]:
    crop = face_set.rule.spec
    return {
        "from": face_set.rule.source,
        **asdict(face_set.rule.square),
        "size_px": crop.size_px,
        "interpolation": crop.interpolation,
        "border_value": crop.border_value,
    }


def _precision_facts(found: PrecisionEvaluation) -> dict[str, object]:
    facts: dict[str, object] = {
        "drift": asdict(found.drift) if found.drift else None,
        "jitter": asdict(found.jitter),
    }
    if found.report is None:
        return facts
    differences = found.subset_differences
    return {
        "all": _score_facts(asdict(found.report.overall), found.difference),
        "subsets": {
            name: _score_facts(asdict(score), differences.get(name))
            for name, score in found.report.subsets.items()
        },
        "landmarks": {name: list(getattr(found.report, name)) for name in _PER_LANDMARK},
        **facts,
    }


def _score_facts(
    score: dict[str, object], difference: PairedDifference | None
) -> dict[str, object]:
    return {**score, "difference": asdict(difference) if difference else None}


def _face_facts(evaluation: Evaluation) -> list[dict[str, object]]:
    return [
        {
            "image": face.image.name,
            "precisions": {
                name: {
                    "nme_percent": None
                    if found.nme_percent is None
                    else float(found.nme_percent[index]),
                    "drift_percent": float(found.drift_percent[index]),
                }
                for name, found in evaluation.precisions.items()
            },
        }
        for index, face in enumerate(evaluation.face_set.faces)
    ]
