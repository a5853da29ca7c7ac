from __future__ import annotations

import os
from pathlib import Path

import pytest

from facealign.errors import IntegrityError
from facealign.runtime.tensorrt.plan_files import read_plain

OPEN_FILES = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the system does not list open files")
@pytest.mark.parametrize("name", [".", "pipe"], ids=["a folder", "a pipe"])
def test_read_plain_closes_what_it_refuses(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(list(OPEN_FILES.iterdir()))

    with pytest.raises(IntegrityError):
        read_plain(tmp_path / name, max_bytes=1)

    assert len(list(OPEN_FILES.iterdir())) == before
