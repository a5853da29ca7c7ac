from __future__ import annotations

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


def test_worst_faces_come_in_the_order_of_their_largest_error(
    two_graphs: Path, faces: Path, tiles: list[FaceTile]
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces))
    errors = [each.nme_percent for each in evaluation.precisions.values()]
    largest = np.max([each for each in errors if each is not None], axis=0)

    png = worst_faces(evaluation)

    assert png is not None
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None
    assert len(tiles) == MOST_FACES
    worst = int(largest.argmax())
    fp32, int8 = (each[worst] for each in errors if each is not None)
    assert tiles[0].caption == (
        f"1. NME: fp32 {fp32:.2f} %, int8 {int8:.2f} %",
        evaluation.face_set.faces[worst].image.name,
    )


def test_tile_is_the_crop_with_landmarks_in_its_own_pixels(
    two_graphs: Path, faces: Path, tiles: list[FaceTile]
) -> None:
    evaluation = evaluate_bundle(EvaluationRequest(two_graphs, faces, limit=1))

    worst_faces(evaluation)

    placement = evaluation.face_set.placement
    truth = evaluation.face_set.truth
    assert truth is not None
    scale = TILE_PX / placement.side[0]
    expected = (truth.landmarks[0] - placement.centre[0]) * scale + TILE_PX / 2
    assert tiles[0].picture.shape == (TILE_PX, TILE_PX, 3)
    assert tiles[0].truth is not None
    np.testing.assert_allclose(tiles[0].truth, expected, rtol=0, atol=1e-9)
    assert list(tiles[0].landmarks) == ["fp32", "int8"]


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
