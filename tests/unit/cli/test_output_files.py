from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import Mock

import pytest

from facealign.cli.output_files import check_writable, write_files
from facealign.errors import OutputError


def test_write_files_writes_all_and_makes_their_folder(tmp_path: Path) -> None:
    write_files({tmp_path / "new" / "a": b"1", tmp_path / "new" / "b": b"2"})

    assert [path.read_bytes() for path in sorted((tmp_path / "new").iterdir())] == [b"1", b"2"]


def test_write_files_writes_none_when_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match=r"cannot write `.*file/b`: .*; pass `--output`"):
        write_files({tmp_path / "a": b"new", tmp_path / "file" / "b": b"2"})

    assert (tmp_path / "a").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "file"]


def test_write_files_refuses_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(OutputError, match=r"cannot write `.*/a`: Is a directory"):
        write_files({tmp_path / "a": b"new"})

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_check_writable_looks_at_the_nearest_folder_and_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "there" / "yet.bundle")

    assert not list(tmp_path.iterdir())


def test_check_writable_gives_the_reason_of_the_system() -> None:
    with pytest.raises(OutputError, match=r"cannot write to `/proc`: .+; pass `--output`"):
        check_writable(Path("/proc/x.bundle"))


def test_check_writable_takes_the_root_of_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Mock()
    monkeypatch.setattr(tempfile, "TemporaryDirectory", tried)

    check_writable(Path("/"))

    tried.assert_called_once_with(prefix=".facealign-", dir=Path("/"))
