from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.report import FaceTile, worst_faces_png
from facealign.report.worst_faces import TILE_PX
from facealign.spec import WFLW98, Scheme

SCHEME = Scheme("three", 3, contours=((0, 1),))
LANDMARKS = np.array([[100.0, 100.0], [200.0, 100.0], [300.0, 300.0]])
GREEN, WHITE, ORANGE = (80, 230, 60), (255, 255, 255), (40, 120, 255)
SMOOTHED = 30  # grey levels by which a thin line is paler than its colour; measured 9
CELL_PX = TILE_PX + 16
LEFT, TOP = 8, 68  # of the first picture on the sheet


def tile(
    *,
    truth: NDArray[np.float64] | None = LANDMARKS,
    landmarks: dict[str, NDArray[np.float64]] | None = None,
    caption: tuple[str, ...] = ("1. NME: fp32 5.00 %", "a.jpg"),
) -> FaceTile:
    picture = np.full((TILE_PX, TILE_PX, 3), 128, np.uint8)
    return FaceTile(picture, truth, landmarks or {}, caption)


def sheet(*tiles: FaceTile, scheme: Scheme = SCHEME) -> NDArray[np.uint8]:
    data = worst_faces_png(tiles, title="on test", scheme=scheme)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def colour_at(picture: NDArray[np.uint8], x: float, y: float) -> tuple[int, ...]:
    return tuple(int(value) for value in picture[round(TOP + y), round(LEFT + x)])


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (3, 1, 3), (4, 1, 4), (5, 2, 4), (12, 3, 4)]
)
def test_sheet_has_up_to_four_faces_in_a_row(count: int, rows: int, columns: int) -> None:
    picture = sheet(*[tile() for _ in range(count)])

    height, width = picture.shape[:2]
    assert width == columns * CELL_PX
    assert (height - 60) / rows == CELL_PX + 2 * 22


def test_truth_is_drawn_as_its_contours() -> None:
    picture = sheet(tile())

    assert colour_at(picture, 150, 100) == pytest.approx(GREEN, abs=SMOOTHED)
    assert colour_at(picture, 250, 200) == (128, 128, 128)
    # Landmark 2 is on no contour, so it gets a ring.
    assert colour_at(picture, 303, 300) == pytest.approx(GREEN, abs=SMOOTHED)


def test_graphs_are_drawn_at_their_landmarks_in_the_colours_of_the_legend() -> None:
    landmarks = {"fp32": LANDMARKS + [0.0, 50.0], "int8": LANDMARKS + [0.0, 80.0]}  # noqa: RUF005

    picture = sheet(tile(landmarks=landmarks))

    assert colour_at(picture, 100, 150) == WHITE
    assert colour_at(picture, 100, 180) == ORANGE
    legend = picture[30:60].reshape(-1, 3).tolist()
    for colour in (GREEN, WHITE, ORANGE):
        assert list(colour) in legend


def test_graphs_that_agree_both_show() -> None:
    picture = sheet(tile(truth=None, landmarks={"fp32": LANDMARKS, "int8": LANDMARKS}))

    assert colour_at(picture, 100, 100) == ORANGE
    assert colour_at(picture, 104, 100)[0] > 150  # a ring of white around it; orange has 40


def test_without_truth_the_legend_has_none() -> None:
    picture = sheet(tile(truth=None, landmarks={"fp32": LANDMARKS}))

    assert list(GREEN) not in picture.reshape(-1, 3).tolist()


def test_landmarks_far_outside_the_picture_do_no_harm() -> None:
    far = np.full((98, 2), 1e12)

    picture = sheet(tile(truth=far, landmarks={"fp32": -far}), scheme=WFLW98)

    assert colour_at(picture, 200, 200) == (128, 128, 128)


@pytest.mark.parametrize(
    "name", ["x" * 300, "фото/лицо.jpg", "", "%s\n"], ids=["long", "not-ascii", "empty", "odd"]
)
def test_any_caption_stays_in_its_cell(name: str) -> None:
    picture = sheet(tile(caption=(name,)), tile(caption=("",)))

    assert np.all(picture[60 + CELL_PX :, CELL_PX:] == 255)
    assert picture.shape[1] == 2 * CELL_PX


def test_picture_of_the_tile_is_left_alone() -> None:
    given = tile(landmarks={"fp32": LANDMARKS})

    sheet(given)

    assert np.all(given.picture == 128)


def test_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="a sheet of faces needs one face or more; pass them"):
        worst_faces_png([], title="", scheme=SCHEME)
