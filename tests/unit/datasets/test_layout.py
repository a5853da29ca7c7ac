"""Whether a folder is whole, and the files in it that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.datasets.layout import check_folder, first_folder, layout_of, read_lines
from facealign.errors import DatasetError


@pytest.mark.parametrize(
    ("parts", "found", "missing"),
    [
        ({"a": True, "b": True}, ("a", "b"), ()),
        ({"a": True, "b": False}, ("a",), ("b",)),
        ({"a": False, "b": False}, (), ("a", "b")),
    ],
    ids=["whole", "half", "none"],
)
def test_layout_is_whole_when_nothing_is_missing(
    parts: dict[str, bool], found: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    layout = layout_of("X", parts)

    assert (layout.found, layout.missing) == (found, missing)
    assert layout.is_whole == (not missing)


def test_first_folder_passes_over_files_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    names = ["gone", "file", "folder", "."]

    assert first_folder(tmp_path / name for name in names) == tmp_path / "folder"
    assert first_folder([tmp_path / "gone"]) is None


def test_check_folder_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(DatasetError, match=r"file` is no folder of a data set \(found a file\)"):
        check_folder(tmp_path / "file")


def test_check_folder_refuses_what_the_system_cannot_look_at(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read `.*`: File name too long; check the path"):
        check_folder(tmp_path / ("a" * 300))


def test_read_lines_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot read `.*`: Is a directory; check the path"):
        read_lines(tmp_path)


def test_dataset_error_lists_nothing_when_its_line_says_it_all() -> None:
    assert DatasetError("all").items == ()
