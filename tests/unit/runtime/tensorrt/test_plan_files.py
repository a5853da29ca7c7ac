from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from facealign.errors import IntegrityError, OutputError
from facealign.runtime.tensorrt.plan_files import check_folder, read_plain

OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the system does not list open files")
@pytest.mark.parametrize("name", [".", "pipe"], ids=["a folder", "a pipe"])
def test_read_plain_closes_what_it_refuses(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(list(OPEN_FILES.iterdir()))

    with pytest.raises(IntegrityError):
        read_plain(tmp_path / name, max_bytes=1)

    assert len(list(OPEN_FILES.iterdir())) == before


def test_check_folder_tries_to_write_where_the_folder_is_there_already(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_only(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", read_only)

    with pytest.raises(
        OutputError, match=r"Read-only file system; no plan was written\. Make room"
    ):
        check_folder(tmp_path)
