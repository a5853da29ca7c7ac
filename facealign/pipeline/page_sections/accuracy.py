"""What each precision is worth on a data set: scores by subset, error curves, the worst faces."""

from __future__ import annotations

from facealign.evaluation import PairedDifference, Score
from facealign.pipeline.evaluation_figures import error_curve, worst_face_tiles
from facealign.pipeline.evaluation_result import (
    REFERENCE,
    Evaluation,
    PrecisionEvaluation,
    nme_unit,
)
from facealign.report import face_jpeg, legend
from facealign.report.page import Block, Cell, Figure, Figures, Note, Section, Table
from facealign.report.page.numbers import counted, interval, points, short

__all__ = ["accuracy_section"]

_ALL = "all faces"


def accuracy_section(evaluation: Evaluation | None) -> Section:
    """Return scores, curves and faces, or what would fill the section.

    Raises:
        InputError: If an image of the data set can no longer be read.
    """
    title = "Accuracy on a data set"
    if evaluation is None:
        text = (
            "No data set was given. With `--dataset FOLDER` NME, failure rate and AUC of every "
            "subset, error curves and the worst faces with all landmarks would be here."
        )
        return Section("accuracy", title, (Note(text, is_missing=True),))
    blocks: tuple[Block, ...] = (_intro(evaluation), *_scores(evaluation), _stability(evaluation))
    return Section("accuracy", title, (*blocks, *_curve(evaluation), *_worst(evaluation)))


def _intro(evaluation: Evaluation) -> Note:
    face_set = evaluation.face_set
    text = (
        f"{face_set.title}, {face_set.size_text}, {face_set.scheme.name}; crops from the "
        f"{face_set.rule.source}; run by {evaluation.engine_name}."
    )
    if face_set.truth is None:
        text += " There are no labels, so there is no NME: only how far the precisions are apart."
    return Note(text)


def _scores(evaluation: Evaluation) -> tuple[Table, ...]:
    """Return NME of every subset by precision, and FR and AUC of all faces."""
    found = {name: each for name, each in evaluation.precisions.items() if each.report is not None}
    if REFERENCE not in found:
        return ()
    subsets = _by_subset(found[REFERENCE])
    rows = tuple(
        (
            Cell(subset, counted(score.face_count, "face")),
            *(_nme_cell(each, subset, name) for name, each in found.items()),
        )
        for subset, score in subsets.items()
    )
    caption = (
        f"NME, percent of {nme_unit(evaluation.normalisation)}; below it the change from FP32 with "
        "its 95 % interval, percentage points, where there are enough faces."
    )
    return (Table(caption, ("subset", *found), rows), _overall(found, evaluation))


def _overall(found: dict[str, PrecisionEvaluation], evaluation: Evaluation) -> Table:
    scores = {name: _by_subset(each)[_ALL] for name, each in found.items()}
    rows = tuple(
        (
            name,
            f"{score.nme_percent:.3f}",
            f"{score.nme_p90_percent:.3f}",
            f"{score.nme_p99_percent:.3f}",
            f"{score.fr_percent:.2f}",
            f"{score.auc_percent:.2f}",
        )
        for name, score in scores.items()
    )
    at = f"{evaluation.threshold_percent:g} %"
    columns = ("precision", "NME", "P90", "P99", f"failures above {at}", f"AUC to {at}")
    return Table("All faces, percent.", columns, rows)


def _by_subset(found: PrecisionEvaluation) -> dict[str, Score]:
    return {} if found.report is None else {_ALL: found.report.overall, **found.report.subsets}


def _nme_cell(found: PrecisionEvaluation, subset: str, name: str) -> Cell:
    score = _by_subset(found)[subset]
    difference = found.difference if subset == _ALL else found.subset_differences.get(subset)
    note = "" if name == REFERENCE else _change_text(difference)
    return Cell(f"{score.nme_percent:.3f}", note)


def _change_text(difference: PairedDifference | None) -> str:
    if difference is None:
        return "too few faces"
    low, high = points(difference.low_percent), points(difference.high_percent)
    return f"{points(difference.mean_percent)} ({interval(low, high)})"


def _stability(evaluation: Evaluation) -> Table:
    rows = tuple(
        (
            name,
            "reference" if each.drift is None else f"{short(each.drift.p99_px)} px",
            f"{short(each.jitter.rms_px)} px",
        )
        for name, each in evaluation.precisions.items()
    )
    caption = (
        "Drift: 99th percentile of the distance to FP32 over all faces and landmarks. Jitter: how "
        f"much landmarks tremble while a face hardly moves, over {len(evaluation.jitter_faces)} "
        "faces."
    )
    return Table(caption, ("precision", "drift", "jitter"), rows)


def _curve(evaluation: Evaluation) -> tuple[Figures, ...]:
    svg = error_curve(evaluation)
    if svg is None:
        return ()
    texts = ", ".join(
        f"{name} {short(score.auc_percent)}"
        for name, each in evaluation.precisions.items()
        for score in [_by_subset(each)[_ALL]]
    )
    figure = Figure(
        svg,
        "image/svg+xml",
        f"Cumulative error curves of all precisions; areas under them in percent: {texts}",
        "Share of the faces whose NME is at most so large. Curves that lie on each other are the "
        "same for that share of faces.",
        is_wide=True,
    )
    return (Figures((figure,)),)


def _worst(evaluation: Evaluation) -> tuple[Block, ...]:
    tiles = worst_face_tiles(evaluation)
    if not tiles:
        return ()
    what = "NME" if evaluation.face_set.truth else f"drift from {REFERENCE}"
    marks = "; ".join(f"{name}: {mark}" for name, mark in legend(tiles[0]).items())
    figures = tuple(
        Figure(
            face_jpeg(tile, scheme=evaluation.face_set.scheme),
            "image/jpeg",
            f"Face with the landmarks of all precisions: {', '.join(tile.caption)}",
            ", ".join(tile.caption),
            kind="photograph",
        )
        for tile in tiles
    )
    note = f"The faces with the largest {what} of any precision. Marks: {marks}."
    return (Note(note), Figures(figures, is_small=True))
