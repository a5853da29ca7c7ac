"""How far each landmark of each precision is from that of FP32, drawn on a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle, Golden
from facealign.errors import BackendError
from facealign.pipeline.evaluation_result import REFERENCE, Evaluation
from facealign.pipeline.page_sections.golden_face import golden_face_crops
from facealign.report.page import (
    Cell,
    Figure,
    Figures,
    LandmarkDistances,
    Note,
    Section,
    Table,
    landmark_svg,
    magnification,
)
from facealign.report.page.numbers import short
from facealign.runtime import open_session

__all__ = ["landmark_section"]

_STEPS = 24  # crops of the golden face; a full-size graph takes some seconds for them
_WORST = 5
_PERCENTILE = 99


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Distances of each precision from FP32, and the crops they are over."""

    distances_px: Mapping[str, NDArray[np.float64]]
    crops: str


def landmark_section(bundle: Bundle, evaluation: Evaluation | None) -> Section:
    """Return each landmark's distance to FP32, on the first golden crop.

    Over the faces of the evaluation if there is one, else over the golden face, moved a little.

    Raises:
        FacealignError: If the bundle cannot be read.
    """
    title = "Distance to FP32, landmark by landmark"
    if len(bundle.manifest.graphs) < 2 or REFERENCE not in bundle.manifest.graphs:
        text = "The bundle has one graph; with a second precision their distances would be here."
        return Section("landmarks", title, (Note(text, is_missing=True),))
    golden = bundle.golden()
    try:
        compared = _compared(bundle, golden, evaluation)
    except BackendError as error:
        text = f"The graphs could not be compared here: {error}"
        return Section("landmarks", title, (Note(text, is_missing=True),))
    found = {
        name: LandmarkDistances(each.mean(axis=0), np.percentile(each, _PERCENTILE, axis=0))
        for name, each in compared.distances_px.items()
    }
    figures = tuple(_figure(name, each, golden) for name, each in found.items())
    intro = (
        f"Over {compared.crops}, in pixels of a crop of {bundle.manifest.crop.size_px} px. At each "
        "landmark a light blue disc with the radius of the mean and a yellow ring with that of the "
        "99th percentile, both magnified by the factor below the picture. They stand where the "
        "PyTorch module puts the landmarks of the face of the self-test."
    )
    table = _worst(compared.distances_px)
    return Section("landmarks", title, (Note(intro), Figures(figures, is_small=True), table))


def _compared(bundle: Bundle, golden: Golden, evaluation: Evaluation | None) -> _Compared:
    if evaluation is not None and len(evaluation.precisions) > 1:
        face_set = evaluation.face_set
        pixels_each = bundle.manifest.crop.size_px / face_set.placement.side[:, None]  # (F, 1)
        reference = evaluation.precisions[REFERENCE].landmarks
        found = {
            name: np.linalg.norm(own.landmarks - reference, axis=2) * pixels_each
            for name, own in evaluation.precisions.items()
            if name != REFERENCE
        }
        return _Compared(found, f"{face_set.size_text} of {face_set.title}")
    crops = golden_face_crops(bundle, golden, count=_STEPS)
    landmarks = {name: _landmarks_px(bundle, name, crops) for name in bundle.manifest.graphs}
    found = {
        name: np.linalg.norm(own - landmarks[REFERENCE], axis=2)
        for name, own in landmarks.items()
        if name != REFERENCE
    }
    return _Compared(found, f"{len(crops)} crops of the face of the self-test, moved and noisy")


def _landmarks_px(bundle: Bundle, precision: str, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return ``(K, N, 2)``, pixels of the crop.

    Raises:
        BackendError: If ONNX Runtime is absent, or does not open the graph.
    """
    with open_session(bundle, precision=precision, self_test=False) as session:
        found = session.run_crops(crops)["landmarks"]
    landmarks_px: NDArray[np.float64] = found.astype(np.float64) * crops.shape[1]
    return landmarks_px


def _figure(name: str, distances: LandmarkDistances, golden: Golden) -> Figure:
    size_px = golden.crops.shape[1]
    factor = magnification(distances, size_px=size_px)
    mean_px, p99_px = float(distances.mean_px.mean()), float(distances.p99_px.max())
    return Figure(
        landmark_svg(golden.crops[0], golden.landmarks[0], distances, factor=factor),
        "image/svg+xml",
        f"A face with the distances of {name} from FP32 at each landmark, {factor:g} times as "
        f"large; mean {short(mean_px)} px, largest 99th percentile {short(p99_px)} px",
        f"{name}, distances drawn {factor:g} times as large: mean {short(mean_px)} px, largest "
        f"99th percentile {short(p99_px)} px",
        kind="photograph",
    )


def _worst(distances_px: Mapping[str, NDArray[np.float64]]) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for name, own in distances_px.items():
        p99 = np.percentile(own, _PERCENTILE, axis=0)
        worst = np.argsort(-p99, kind="stable")[:_WORST].tolist()
        listed = (Cell(f"{short(float(p99[i]))} px", f"landmark {i}") for i in worst)
        mean, all_p99 = float(own.mean()), float(np.percentile(own, _PERCENTILE))
        rows.append((name, short(mean), short(all_p99), short(float(own.max())), *listed))
    caption = (
        "Distance to FP32 over all landmarks, pixels of the crop, and the landmarks with the "
        "largest 99th percentile."
    )
    most = max(len(row) for row in rows) - 4
    ranks = ("worst", *(f"{rank}." for rank in range(2, most + 1)))
    return Table(caption, ("precision", "mean", "p99", "largest", *ranks[:most]), tuple(rows))
