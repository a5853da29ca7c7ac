"""Lists of faces, one per line, with or without box and attributes."""

from __future__ import annotations

import numpy as np
import pytest

from facealign.errors import AssetError
from facealign.models.annotation_list import (
    faces_from_lines,
    faces_in_own_crop,
    is_annotation_list,
)

FACE = "1 2 3 4 5 6"
WHOLE = f"{FACE} 0 0 9 9 0 0 0 0 1 0 a/b.jpg"
DUMMY_BOX = f"{FACE} 0 0 0 0 0 0 0 0 1 0 a/b.jpg"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([f"{FACE} a.jpg"], True, id="bare"),
        pytest.param([WHOLE], True, id="whole"),
        pytest.param(["# faces", "", WHOLE], True, id="comment first"),
        pytest.param(["0 1 0.99", "0 2 0.98"], False, id="edges"),
        pytest.param([], False, id="empty"),
    ],
)
def test_annotation_list_is_told_from_numbers(lines: list[str], *, expected: bool) -> None:
    assert is_annotation_list(lines, 3) is expected


@pytest.mark.parametrize(
    "line", [f"{FACE} a.jpg", WHOLE, DUMMY_BOX], ids=["bare", "whole", "dummy box"]
)
def test_faces_are_first_numbers_of_each_line(line: str) -> None:
    faces = faces_from_lines([line, "", line], 3, "list.txt")

    assert faces.tolist() == [[[1, 2], [3, 4], [5, 6]]] * 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([WHOLE, FACE], r"`list.txt`, line 2: 6 fields \(expected 7", id="short"),
        pytest.param(["1 2 x 4 5 6 a.jpg"], "line 1: not all coordinates are numbers", id="word"),
        pytest.param(["1 2 nan 4 5 6 a.jpg"], "line 1: its landmarks are not finite", id="nan"),
        pytest.param(["1 1 1 1 1 1 a.jpg"], "all in one place", id="one place"),
        pytest.param([WHOLE.replace("1 0 a/", "1 2 a/")], "line 1: attributes", id="attribute 2"),
        pytest.param([""], "holds no face", id="no face"),
    ],
)
def test_faces_are_refused(lines: list[str], message: str) -> None:
    with pytest.raises(AssetError, match=message):
        faces_from_lines(lines, 3, "list.txt")


def test_face_in_own_crop_is_centred_and_fills_it_but_for_the_margin() -> None:
    landmarks = np.array([[[10.0, 20.0], [34.0, 32.0]]])

    found = faces_in_own_crop(landmarks)

    np.testing.assert_allclose(
        found[0], [[0.5 - 0.5 / 1.2, 0.5 - 0.25 / 1.2], [0.5 + 0.5 / 1.2, 0.5 + 0.25 / 1.2]]
    )
