"""The pictures of an evaluation: its error curve, and a sheet of the worst faces."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from facealign.geometry import Placement, crops_from_frame
from facealign.pipeline.evaluation_result import (
    REFERENCE,
    Evaluation,
    PrecisionEvaluation,
    nme_unit,
)
from facealign.pipeline.face_set import crop_px_from_frame, placement_at
from facealign.report import Curve, FaceTile, error_curve_svg, worst_faces_png
from facealign.report.worst_faces import TILE_PX

__all__ = ["MOST_FACES", "error_curve", "worst_face_tiles", "worst_faces"]

MOST_FACES = 12  # on the sheet: three rows


def error_curve(evaluation: Evaluation) -> bytes | None:
    """Return the cumulative error curve of all graphs as SVG, or None without labels.

    Raises:
        MissingLibraryError: If matplotlib is not installed.
    """
    curves = [
        Curve(_curve_label(name, found), found.nme_percent)
        for name, found in evaluation.precisions.items()
        if found.nme_percent is not None
    ]
    if not curves:
        return None
    return error_curve_svg(
        curves,
        title=_title(evaluation),
        x_label=f"NME, % of {nme_unit(evaluation.normalisation)}",
        threshold_percent=evaluation.threshold_percent,
    )


def worst_faces(evaluation: Evaluation) -> bytes | None:
    """Return a sheet of the faces that go worst, as PNG.

    Worst is the largest NME that any graph has; without labels, the largest drift from FP32, and
    None if there is no graph but FP32. The pictures show what the networks saw, in the frame's own
    resolution.

    Raises:
        InputError: If an image can no longer be read.
    """
    tiles = worst_face_tiles(evaluation)
    if not tiles:
        return None
    what = "NME" if evaluation.face_set.truth else f"drift from {REFERENCE}"
    return worst_faces_png(
        tiles,
        title=f"{_title(evaluation)}: largest {what}",
        scheme=evaluation.face_set.scheme,
    )


def worst_face_tiles(evaluation: Evaluation) -> list[FaceTile]:
    """Return the tiles of that sheet, the worst first; empty where `worst_faces` is None.

    Raises:
        InputError: If an image can no longer be read.
    """
    errors = _errors_percent(evaluation)
    if errors is None:
        return []
    worst = np.argsort(-errors.max(axis=0), kind="stable")[:MOST_FACES].tolist()
    return [_tile(evaluation, index, rank) for rank, index in enumerate(worst, start=1)]


def _errors_percent(evaluation: Evaluation) -> NDArray[np.float64] | None:
    """Return ``(P, F)`` errors of each graph, or None if there are none to rank by."""
    found = evaluation.precisions.values()
    if evaluation.face_set.truth:
        return np.stack([each.nme_percent for each in found if each.nme_percent is not None])
    if len(found) < 2:
        return None
    return np.stack([each.drift_percent for each in found])


def _tile(evaluation: Evaluation, index: int, rank: int) -> FaceTile:
    face_set = evaluation.face_set
    placement = placement_at(face_set.placement, index)
    spec = dataclasses.replace(face_set.rule.spec, size_px=TILE_PX, interpolation="bilinear")
    truth = face_set.truth
    return FaceTile(
        picture=crops_from_frame(face_set.frame(index), placement, spec)[0],
        truth=None if truth is None else _in_tile(truth.landmarks[index], placement),
        landmarks={
            name: _in_tile(found.landmarks[index], placement)
            for name, found in evaluation.precisions.items()
        },
        caption=(
            f"{rank}. {_face_text(evaluation, index)}",
            face_set.faces[index].image.name,
        ),
    )


def _in_tile(landmarks: NDArray[np.float64], placement: Placement) -> NDArray[np.float64]:
    """Return ``(N, 2)`` frame pixels as pixels of the tile."""
    moved: NDArray[np.float64] = crop_px_from_frame(landmarks[None], placement, TILE_PX)[0]
    return moved


def _face_text(evaluation: Evaluation, index: int) -> str:
    """Return the errors of a face, one per graph."""
    parts = []
    for name, found in evaluation.precisions.items():
        if found.nme_percent is not None:
            parts.append(f"{name} {found.nme_percent[index]:.2f} %")
        elif name != REFERENCE:
            parts.append(f"{name} {found.drift_percent[index]:.2f} %")
    return f"{'NME' if evaluation.face_set.truth else 'drift'}: {', '.join(parts)}"


def _curve_label(name: str, found: PrecisionEvaluation) -> str:
    if found.report is None:
        return name
    score = found.report.overall
    return (
        f"{name}: NME {score.nme_percent:.2f}, AUC {score.auc_percent:.1f}, "
        f"FR {score.fr_percent:.1f}"
    )


def _title(evaluation: Evaluation) -> str:
    face_set = evaluation.face_set
    return (
        f"{evaluation.manifest.family} on {face_set.title}, {len(face_set.faces)} faces, "
        f"crops from {face_set.rule.source}"
    )
