"""Lines of WFLW: what they say, what is wrong with them, and that they come back the same."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facealign.datasets.annotation_line import (
    WFLW_ATTRIBUTES,
    FaceLine,
    check_face,
    face_from_line,
    line_from_face,
)
from facealign.errors import DatasetError

FACE = "1 2 3.5 4 5 -6"
BOX = "10 20 30 40"
PLACE = "list.txt, line 7"

_positions = st.floats(-1e6, 1e6)
_names = st.text(string.ascii_letters + string.digits + "-_./&()", min_size=1)


@st.composite
def _face_lines(draw: st.DrawFn) -> FaceLine:
    count = draw(st.integers(1, 5))
    landmarks = draw(
        st.lists(_positions, min_size=2 * count, max_size=2 * count)
        .map(lambda values: np.array(values).reshape(count, 2))
        .filter(lambda array: bool(np.ptp(array, axis=0).max() > 0))
    )
    corner = np.array([draw(_positions), draw(_positions)])
    size = np.array([draw(st.floats(0.01, 1e6)), draw(st.floats(0.01, 1e6))])
    attributes = draw(st.frozensets(st.sampled_from(WFLW_ATTRIBUTES)))
    return FaceLine(landmarks, draw(_names), np.concatenate([corner, corner + size]), attributes)


@settings(max_examples=60, deadline=None)
@given(_face_lines().filter(lambda face: len(face.landmarks) > 1))
def test_line_of_a_face_gives_the_same_face_again(face: FaceLine) -> None:
    read = face_from_line(line_from_face(face), len(face.landmarks), place=PLACE)

    assert face.box is not None
    assert read.landmarks.tolist() == face.landmarks.tolist()
    assert read.box is not None
    assert read.box.tolist() == face.box.tolist()
    assert (read.attributes, read.image_name) == (face.attributes, face.image_name)


def test_line_is_landmarks_then_box_then_attributes_then_name() -> None:
    face = face_from_line(f"{FACE} {BOX} 1 0 0 0 0 1 a/b.jpg\n", 3, place=PLACE)

    assert face.landmarks.tolist() == [[1, 2], [3.5, 4], [5, -6]]
    assert face.box is not None
    assert face.box.tolist() == [10, 20, 30, 40]
    assert face.attributes == {"pose", "blur"}
    assert face.image_name == "a/b.jpg"


@pytest.mark.parametrize(
    ("index", "name"),
    list(enumerate(["pose", "expression", "illumination", "makeup", "occlusion", "blur"])),
)
def test_each_attribute_has_the_place_that_wflw_gives_it(index: int, name: str) -> None:
    flags = " ".join(str(int(each == index)) for each in range(6))

    face = face_from_line(f"{FACE} {BOX} {flags} a.jpg", 3, place=PLACE)

    assert face.attributes == {name}


def test_bare_line_has_no_box_and_comes_back_the_same() -> None:
    face = face_from_line(f"{FACE} a.jpg", 3, place=PLACE, may_be_bare=True)

    assert face.box is None
    assert face.attributes == frozenset()
    assert line_from_face(face) == "1.000000 2.000000 3.500000 4.000000 5.000000 -6.000000 a.jpg"


def test_line_is_written_as_wflw_has_it_unless_that_would_round() -> None:
    landmarks = np.array([[1.5, 1 / 3], [-2.0, 4.000001]])
    face = FaceLine(landmarks, "a.jpg", np.array([10, 20.5, 30, 40]), frozenset({"makeup"}))

    assert line_from_face(face) == (
        "1.500000 0.3333333333333333 -2.000000 4.000001 10 20.5 30 40 0 0 0 1 0 0 a.jpg"
    )


@pytest.mark.parametrize("box", ["0 0 0 0", "-1 -1 -1 -1", "nan nan nan nan"])
def test_dummy_of_a_box_is_none_where_the_box_does_not_matter(box: str) -> None:
    face = face_from_line(f"{FACE} {box} 0 0 0 0 0 1 a.jpg", 3, place=PLACE, may_lack_box=True)

    assert face.box is None
    assert face.attributes == {"blur"}
    assert len(face.landmarks) == 3


def test_box_is_read_where_it_does_not_matter() -> None:
    face = face_from_line(f"{FACE} {BOX} 0 0 0 0 0 0 a.jpg", 3, place=PLACE, may_lack_box=True)

    assert face.box is not None
    assert face.box.tolist() == [10, 20, 30, 40]


def test_box_of_words_is_refused_even_where_it_does_not_matter() -> None:
    with pytest.raises(DatasetError, match="not all numbers of the box are numbers"):
        face_from_line(f"{FACE} 1 2 x 4 0 0 0 0 0 0 a.jpg", 3, place=PLACE, may_lack_box=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param(
            f"{FACE} a.jpg",
            r"list.txt, line 7: 7 fields \(expected 17: 3 landmarks and a name, with box and",
            id="bare",
        ),
        pytest.param("", "line 7: 0 fields", id="empty"),
        pytest.param(f"{FACE} {BOX} 0 0 0 0 0 a.jpg", "16 fields", id="an attribute short"),
        pytest.param(f"{FACE} {BOX} 0 0 0 0 0 0 a b.jpg", "18 fields", id="space in the name"),
        pytest.param(
            f"x{FACE[1:]} {BOX} 0 0 0 0 0 0 a.jpg", "not all coordinates are numbers", id="word"
        ),
        pytest.param(
            f"inf{FACE[1:]} {BOX} 0 0 0 0 0 0 a.jpg", "its landmarks are not finite", id="infinite"
        ),
        pytest.param(f"2 2 2 2 2 2 {BOX} 0 0 0 0 0 0 a.jpg", "all in one place", id="one place"),
        pytest.param(
            f"{FACE} 1 2 x 4 0 0 0 0 0 0 a.jpg", "not all numbers of the box are", id="box word"
        ),
        pytest.param(
            f"{FACE} 10 20 5 40 0 0 0 0 0 0 a.jpg",
            r"box \(10 20 5 40\) has no area; a box is x_min y_min x_max y_max",
            id="box turned round",
        ),
        pytest.param(f"{FACE} 1 2 nan 4 0 0 0 0 0 0 a.jpg", "has no area", id="box not finite"),
        pytest.param(
            f"{FACE} {BOX} 0 0 2 0 0 0 a.jpg",
            r"attributes `0 0 2 0 0 0` are not all 0 or 1 \(pose, expression",
            id="attribute 2",
        ),
    ],
)
def test_broken_line_is_refused_with_its_place(line: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        face_from_line(line, 3, place=PLACE)


@pytest.mark.parametrize("broken", [np.nan, np.inf], ids=["nan", "infinite"])
def test_check_face_names_the_place(broken: float, landmarks: NDArray[np.float64]) -> None:
    landmarks[5, 1] = broken

    with pytest.raises(DatasetError, match="line 7: its landmarks are not finite"):
        check_face(landmarks, PLACE)
