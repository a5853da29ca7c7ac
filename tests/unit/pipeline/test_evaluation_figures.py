from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from facealign.pipeline.evaluate import EvaluationRequest, evaluate_bundle
from facealign.pipeline.evaluation_figures import MOST_FACES, error_curve, worst_faces
from facealign.report import FaceTile, worst_faces_png
from facealign.report.worst_faces import TILE_PX


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> list[FaceTile]:
    """Return the tiles that `worst_faces` will have drawn."""
    seen: list[FaceTile] = []

    def noting(tiles: list[FaceTile], **options: object) -> bytes:
        seen.extend(tiles)
        return worst_faces_png(tiles, **options)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr("facealign.pipeline.evaluation_figures.worst_faces_png", noting)
    return seen


def test_error_curve_is_an_svg_of_every_graph(two_graphs: Path, faces: Path) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, crops_from="box"))

    svg = error_curve(evaluation)

    assert svg is not None
    assert b"<!-- fp32: NME 5.00, AUC 50.0, FR 0.0 -->" in svg
    assert b"<!-- int8: NME " in svg
    assert b"12 faces, crops from box -->" in svg


def test_worst_faces_come_in_the_order_of_the_largest_error_of_any_graph(
    two_graphs: Path, faces: Path, tiles: list[FaceTile]
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, limit=3))
    nme_percent = {"fp32": np.array([2.0, 6.0, 5.0]), "int8": np.array([9.0, 1.0, 5.5])}
    precisions = {
        name: dataclasses.replace(evaluation.precisions[name], nme_percent=own)
        for name, own in nme_percent.items()
    }

    png = worst_faces(dataclasses.replace(evaluation, precisions=precisions))

    assert png is not None
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None
    assert [tile.caption for tile in tiles] == [
        ("1. NME: fp32 2.00 %, int8 9.00 %", "a.png"),
        ("2. NME: fp32 6.00 %, int8 1.00 %", "a.png"),
        ("3. NME: fp32 5.00 %, int8 5.50 %", "a.png"),
    ]


def test_sheet_has_a_dozen_faces_at_most(
    two_graphs: Path, faces: Path, tiles: list[FaceTile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.pipeline.evaluation_figures.MOST_FACES", 5)

    worst_faces(evaluate_bundle(EvaluationRequest(two_graphs, faces)))

    assert (MOST_FACES, len(tiles)) == (12, 5)


def test_tile_is_the_crop_with_landmarks_in_its_own_pixels(
    two_graphs: Path, faces: Path, tiles: list[FaceTile]
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, limit=4))
    fp32 = evaluation.precisions["fp32"]
    errors = dataclasses.replace(fp32, nme_percent=np.array([1.0, 2.0, 9.0, 3.0]))

    worst_faces(dataclasses.replace(evaluation, precisions={"fp32": errors}))

    placement, truth = evaluation.face_set.placement, evaluation.face_set.truth
    assert truth is not None
    scale = TILE_PX / placement.side[2]
    own, found = (
        (each - placement.centre[2]) * scale + TILE_PX / 2
        for each in (truth.landmarks[2], fp32.landmarks[2])
    )
    assert tiles[0].picture.shape == (TILE_PX, TILE_PX, 3)
    assert tiles[0].truth is not None
    np.testing.assert_allclose(tiles[0].truth, own, rtol=0, atol=1e-9)
    np.testing.assert_allclose(tiles[0].landmarks["fp32"], found, rtol=0, atol=1e-9)


def test_without_labels_there_is_no_curve_and_the_worst_have_drifted_most(
    two_graphs: Path, boxed: Path, tiles: list[FaceTile]
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, boxed))
    drift = evaluation.precisions["int8"].drift_percent

    assert error_curve(evaluation) is None
    assert worst_faces(evaluation) is not None

    assert [tile.truth for tile in tiles] == [None, None]
    assert tiles[0].caption[0] == f"1. drift: int8 {drift.max():.2f} %"


def test_without_labels_and_a_second_graph_there_is_no_worst_face(
    two_graphs: Path, boxed: Path
) -> None:
    request = EvaluationRequest(two_graphs, boxed, precisions=("fp32",))

    assert worst_faces(evaluate_bundle(request)) is None
