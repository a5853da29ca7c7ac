from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.cli.images import image_paths, read_image, result_names
from facealign.errors import InputError


def test_image_paths_takes_a_file_as_it_is(tmp_path: Path) -> None:
    assert image_paths(tmp_path / "any.thing") == [tmp_path / "any.thing"]


def test_image_paths_takes_images_only_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for name in ("b.JPG", "a.png", "notes.txt", "a.landmarks.png", "a.landmarks.json"):
        (tmp_path / name).touch()

    assert [path.name for path in image_paths(tmp_path)] == ["a.png", "b.JPG"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.png", "b.jpg"], ["a", "b"]),
        (["a.png", "a.jpg", "b.png"], ["a.png", "a.jpg", "b"]),
        (["A.png", "a.jpg"], ["A.png", "a.jpg"]),
    ],
    ids=["apart", "same_stem", "same_but_for_case"],
)
def test_result_names_never_coincide(names: list[str], expected: list[str]) -> None:
    assert result_names([Path(name) for name in names]) == expected


def test_read_image_makes_eight_bits_of_sixteen(tmp_path: Path, frame: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), frame.astype(np.uint16) * 257)

    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), frame)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_read_image_refuses_half_a_file_without_a_word_of_the_codec(
    tmp_path: Path,
    frame: NDArray[np.uint8],
    capfd: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    data = cv2.imencode(ending, frame)[1].tobytes()
    path = tmp_path / f"half{ending}"
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(InputError, match=r"half\.(png|jpg)` is no image that OpenCV can read"):
        read_image(path)

    assert capfd.readouterr().err == ""
