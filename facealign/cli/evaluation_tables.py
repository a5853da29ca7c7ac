"""How an evaluation reads to people."""

from __future__ import annotations

from collections.abc import Sequence

from facealign.evaluation import Drift, EvaluationReport, Jitter, PairedDifference, Score
from facealign.pipeline.evaluation_result import REFERENCE, Evaluation, nme_unit

__all__ = ["evaluation_texts"]

_ALL = "all"
_DRIFT_UNITS = {"corners": f"{REFERENCE}'s eye corners' distance", "crop": "the crop's side"}


def evaluation_texts(evaluation: Evaluation) -> dict[str, str | Sequence[str] | dict[str, str]]:
    """Return what `print_facts` shows of an evaluation, a table for each graph among it."""
    face_set = evaluation.face_set
    texts: dict[str, str | Sequence[str] | dict[str, str]] = {
        "faces": f"{face_set.title}, {face_set.size_text}, {face_set.scheme.name}",
        "crops": _crops_text(evaluation),
    }
    has_labels = face_set.truth is not None
    if not has_labels:
        texts["scores"] = "none, as there are no labels: drift and jitter only"
    else:
        texts["NME"] = (
            f"% of {nme_unit(evaluation.normalisation)}; P90: 9 of 10 faces are at most so bad"
        )
    texts |= {name: _table(evaluation, name) for name in evaluation.precisions if has_labels}
    drifts = {name: found.drift for name, found in evaluation.precisions.items() if found.drift}
    if drifts:
        texts["drift"] = {name: _drift_text(found) for name, found in drifts.items()}
    texts["jitter"] = {
        name: _jitter_text(found.jitter) for name, found in evaluation.precisions.items()
    }
    return texts


def _crops_text(evaluation: Evaluation) -> str:
    rule = evaluation.face_set.rule
    box = "the data set's box" if rule.source == "box" else "the box around the landmarks"
    return (
        f"from {box}: {rule.square.side_factor:g} times its larger side, {rule.square.centre} "
        f"centre, {rule.spec.size_px} px, {rule.spec.interpolation}"
    )


def _table(evaluation: Evaluation, precision: str) -> list[str]:
    """Return the scores of a graph, a line for all faces and one for each subset.

    With WFLW's subsets and the labels before them, a line is as wide as a terminal of 80 columns.
    """
    found = evaluation.precisions[precision]
    scores = _scores(found.report)
    differences = {_ALL: found.difference, **found.subset_differences}
    reference = _scores(evaluation.precisions[REFERENCE].report)
    width = max(map(len, scores))
    at = f"@{evaluation.threshold_percent:g}"
    header = f"{'':<{width}}{'faces':>6}{'NME':>7}{'FR' + at:>7}{'AUC' + at:>8}{'P90':>7}"
    lines = [header if precision == REFERENCE else f"{header}  change of NME, 95 %"]
    for name, score in scores.items():
        change = score.nme_percent - reference[name].nme_percent
        interval = _interval_text(differences.get(name))
        text = "" if precision == REFERENCE else f"  {change:+.3f} {interval}"
        lines.append(f"{name:<{width}}{_score_text(score)}{text}")
    return [*lines, *([] if found.report is None else [_npe_text(found.report)])]


def _scores(report: EvaluationReport | None) -> dict[str, Score]:
    return {} if report is None else {_ALL: report.overall, **report.subsets}


def _score_text(score: Score) -> str:
    return (
        f" {score.face_count:>5} {score.nme_percent:>6.3f} {score.fr_percent:>6.2f} "
        f"{score.auc_percent:>7.2f} {score.nme_p90_percent:>6.3f}"
    )


def _interval_text(difference: PairedDifference | None) -> str:
    if difference is None:
        return "(too few faces)"
    return f"[{difference.low_percent:+.3f}, {difference.high_percent:+.3f}]"


def _npe_text(report: EvaluationReport) -> str:
    npe_percent = report.npe_p90_per_landmark_percent
    worst = max(range(len(npe_percent)), key=lambda index: npe_percent[index])
    mean = sum(npe_percent) / len(npe_percent)
    return (
        f"NPE90 of single landmarks: mean {mean:.3f}, largest {npe_percent[worst]:.3f} "
        f"(landmark {worst})"
    )


def _drift_text(found: Drift) -> str:
    return (
        f"mean {found.mean_percent:.3f}, p99 {found.p99_percent:.3f}, max "
        f"{found.max_percent:.3f} % of {_DRIFT_UNITS[found.length]}; mean {found.mean_px:.4f}, "
        f"p99 {found.p99_px:.4f}, max {found.max_px:.4f} px of the crop"
    )


def _jitter_text(found: Jitter) -> str:
    return (
        f"{found.rms_px:.4f} px of the crop RMS over {found.face_count} faces, "
        f"worst face {found.worst_face_rms_px:.4f}"
    )
