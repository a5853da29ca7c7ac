"""Files of landmarks as iBUG writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.datasets.pts import read_pts
from facealign.errors import DatasetError
from tests.unit.datasets.official import pts_text

WHOLE = pts_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "face.pts"
    path.write_text(WHOLE)
    return path


def test_pts_count_pixels_from_1_and_landmarks_from_0(path: Path) -> None:
    landmarks = read_pts(path, 68)

    assert landmarks.shape == (68, 2)
    assert landmarks.tolist() == [[i, 2 * i] for i in range(68)]


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace("\n", "\r\n"),
        WHOLE.replace("n_points:  68", "n_points: 68 "),
        WHOLE.replace("n_points:  68\n", ""),
        WHOLE.replace(" ", "   ") + "\n\n",
        WHOLE.replace("}", "\n}"),
    ],
    ids=["windows", "one space", "no count", "many spaces", "empty line"],
)
def test_pts_with_other_white_space_reads_the_same(path: Path, text: str) -> None:
    path.write_bytes(text.encode())

    assert read_pts(path, 68)[67].tolist() == [67, 134]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(pts_text(said=29), r"face.pts` is of 29 landmarks \(expected 68\)", id="said"),
        pytest.param(pts_text(count=67), r"holds 67 landmarks \(expected 68\)", id="short"),
        pytest.param(WHOLE.rstrip("}\n"), "is no whole .pts file", id="cut"),
        pytest.param("", "is no whole .pts file", id="empty"),
        pytest.param(
            WHOLE.replace("\n2.000000 3.000000", "\n2.000000 x"),
            r"`.*face.pts`, line 5: `2.000000 x` is not x and y",
            id="word",
        ),
        pytest.param(
            WHOLE.replace("\n2.000000 3.000000", "\n2.000000"),
            r"line 5: 1 numbers \(expected x and y\)",
            id="one number",
        ),
        pytest.param(
            WHOLE.replace("\n2.000000 3.000000", "\nnan 3"), "landmarks are not finite", id="nan"
        ),
    ],
)
def test_broken_pts_is_refused(path: Path, text: str, message: str) -> None:
    path.write_text(text)

    with pytest.raises(DatasetError, match=message):
        read_pts(path, 68)


def test_missing_pts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read `.*gone.pts`: No such file"):
        read_pts(tmp_path / "gone.pts", 68)
