from __future__ import annotations

from pathlib import Path

import pytest

from facealign.cli.images import image_paths, result_names


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
