"""A sheet of the faces that go worst, with the truth and every graph's landmarks drawn on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.errors import InputError
from facealign.spec import Scheme

__all__ = ["TILE_PX", "FaceTile", "face_jpeg", "legend", "worst_faces_png"]

TILE_PX = 448  # at it the dots of 98 landmarks stay apart
_COLUMNS = 4
_GAP_PX = 8
_LINE_PX = 22  # of text
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.55
_INK_BGR, _PAPER_BGR = (30, 30, 30), (255, 255, 255)
_TRUTH, _TRUTH_BGR = "truth", (80, 230, 60)
_RIM_BGR = (20, 20, 20)
# Far from skin and from each other; the reference is white.
_GRAPHS_BGR = (
    (255, 255, 255),
    (40, 120, 255),
    (255, 200, 40),
    (230, 80, 240),
    (60, 230, 255),
    (180, 180, 120),
)
_GRAPH_NAMES = ("white", "orange", "light blue", "pink", "yellow", "grey-green")
# Later dots are smaller, so that graphs that agree show as rings.
_LARGEST_DOT_PX, _SMALLEST_DOT_PX, _DOT_STEP_PX = 4.4, 1.2, 1.2
_SHIFT = 4  # OpenCV draws at 1/16 px ...
_MAX_DRAWN_PX = 2.0**20  # ... in 32 bits; what is cut off is far outside any tile


@dataclass(frozen=True, slots=True, eq=False)
class FaceTile:
    """One face of the sheet.

    Attributes:
        picture: ``(TILE_PX, TILE_PX, 3)`` uint8 BGR.
        truth: ``(N, 2)``, pixels of the picture; None where there are no labels.
        landmarks: By graph, in the order of the legend; each ``(N, 2)``, pixels of the picture.
        caption: One line each under the picture.
    """

    picture: NDArray[np.uint8]
    truth: NDArray[np.float64] | None
    landmarks: Mapping[str, NDArray[np.float64]]
    caption: Sequence[str]


def worst_faces_png(tiles: Sequence[FaceTile], *, title: str, scheme: Scheme) -> bytes:
    """Return a sheet of faces as PNG: up to four in a row, a legend above.

    The truth is drawn as lines where the scheme has contours, each graph as dots.

    Args:
        tiles: In the order in which they are shown, one or more.
        title: Above the legend.
        scheme: The landmark set of all of them.

    Raises:
        InputError: If there is no tile.
    """
    if not tiles:
        raise InputError("a sheet of faces needs one face or more; pass them")
    columns = min(_COLUMNS, len(tiles))
    cells = [_cell(tile, scheme, max(len(each.caption) for each in tiles)) for tile in tiles]
    width = cells[0].shape[1]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[i : i + columns], axis=1) for i in range(0, len(cells), columns)]
    sheet = np.concatenate([_header(tiles[0], title, columns * width), *rows])
    return bytes(cv2.imencode(".png", sheet)[1].tobytes())


def face_jpeg(tile: FaceTile, *, scheme: Scheme) -> bytes:
    """Return one face with its landmarks, without its caption, as JPEG."""
    picture = _drawn(tile, scheme)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())


def legend(tile: FaceTile) -> dict[str, str]:
    """Return what each mark on a face is, in words."""
    marks = {} if tile.truth is None else {_TRUTH: "green lines"}
    names = _GRAPH_NAMES * len(tile.landmarks)
    dots = ("the largest dots", *["smaller dots"] * len(tile.landmarks))
    return marks | {
        graph: f"{size}, {colour}"
        for graph, size, colour in zip(tile.landmarks, dots, names, strict=False)
    }


def _cell(tile: FaceTile, scheme: Scheme, line_count: int) -> NDArray[np.uint8]:
    """Return a picture with its landmarks, a margin and the caption."""
    picture = _drawn(tile, scheme)
    height = TILE_PX + 2 * _GAP_PX + line_count * _LINE_PX
    cell = _paper(height, TILE_PX + 2 * _GAP_PX)
    cell[_GAP_PX : _GAP_PX + TILE_PX, _GAP_PX : _GAP_PX + TILE_PX] = picture
    for index, line in enumerate(tile.caption):
        _write(cell, line, _GAP_PX, _GAP_PX + TILE_PX + (index + 1) * _LINE_PX - 5)
    return cell


def _drawn(tile: FaceTile, scheme: Scheme) -> NDArray[np.uint8]:
    """Return a picture with its landmarks."""
    picture = np.array(tile.picture, order="C")
    if tile.truth is not None:
        _draw_lines(picture, tile.truth, scheme)
    for index, landmarks in enumerate(tile.landmarks.values()):
        radius_px = max(_SMALLEST_DOT_PX, _LARGEST_DOT_PX - index * _DOT_STEP_PX)
        if index == 0:
            _draw_dots(picture, landmarks, colour=_RIM_BGR, radius_px=radius_px + 1)
        colour = _GRAPHS_BGR[index % len(_GRAPHS_BGR)]
        _draw_dots(picture, landmarks, colour=colour, radius_px=radius_px)
    return picture


def _header(tile: FaceTile, title: str, width: int) -> NDArray[np.uint8]:
    """Return the title and, below it, a colour and a name for the truth and for each graph."""
    header = _paper(2 * _LINE_PX + 2 * _GAP_PX, width)
    _write(header, title, _GAP_PX, _GAP_PX + _LINE_PX - 6)
    colours = dict(zip(tile.landmarks, _GRAPHS_BGR * len(tile.landmarks), strict=False))
    entries = ({} if tile.truth is None else {_TRUTH: _TRUTH_BGR}) | colours
    x, y = _GAP_PX, _GAP_PX + 2 * _LINE_PX - 6
    for name, colour in entries.items():
        cv2.rectangle(header, (x, y - 11), (x + 22, y + 1), colour, cv2.FILLED)
        cv2.rectangle(header, (x, y - 11), (x + 22, y + 1), _RIM_BGR, 1)
        _write(header, name, x + 30, y)
        x += 30 + _text_width(name) + 26
    return header


def _draw_lines(picture: NDArray[np.uint8], landmarks: NDArray[np.float64], scheme: Scheme) -> None:
    points = _fixed(landmarks)
    contours = [points[list(contour)] for contour in scheme.contours]
    cv2.polylines(picture, contours, False, _TRUTH_BGR, 1, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 - OpenCV's names differ between versions
    lined = {index for contour in scheme.contours for index in contour}
    for x, y in (point for i, point in enumerate(points.tolist()) if i not in lined):
        cv2.circle(picture, (x, y), 3 << _SHIFT, _TRUTH_BGR, 1, cv2.LINE_AA, _SHIFT)


def _draw_dots(
    picture: NDArray[np.uint8],
    landmarks: NDArray[np.float64],
    *,
    colour: tuple[int, int, int],
    radius_px: float,
) -> None:
    radius = round(radius_px * 2**_SHIFT)
    for x, y in _fixed(landmarks).tolist():
        cv2.circle(picture, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed(landmarks: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return positions in OpenCV's fixed point."""
    clipped = np.clip(np.asarray(landmarks, np.float64), -_MAX_DRAWN_PX, _MAX_DRAWN_PX)
    return np.asarray(np.rint(clipped * 2**_SHIFT), np.int32)


def _paper(height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), _PAPER_BGR, np.uint8)


def _write(picture: NDArray[np.uint8], text: str, x: int, y: int) -> None:
    # Hershey fonts have no letters beyond ASCII.
    plain = _fitted(text.encode("ascii", "replace").decode(), picture.shape[1] - x - _GAP_PX)
    cv2.putText(picture, plain, (x, y), _FONT, _FONT_SCALE, _INK_BGR, 1, cv2.LINE_AA)


def _fitted(text: str, room_px: int) -> str:
    """Return `text`, cut so that a long name does not run into its neighbour."""
    if _text_width(text) <= room_px:
        return text
    while text and _text_width(f"{text}..") > room_px:
        text = text[:-1]
    return f"{text}.."


def _text_width(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0])
