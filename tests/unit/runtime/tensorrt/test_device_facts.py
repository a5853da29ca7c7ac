from __future__ import annotations

from pathlib import Path

import pytest

from facealign.runtime.tensorrt.device_facts import (
    _commit,
    available_mib,
    device_facts,
    resident_mib,
)
from tests.doubles.host_device import HostDevice


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_memory_is_read_in_mib(tmp_path: Path) -> None:
    _write(tmp_path, "proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable:  2048 kB\n")
    _write(tmp_path, "proc/self/status", "VmPeak:  9000 kB\nVmRSS:\t    1536 kB\n")

    assert (available_mib(tmp_path), resident_mib(tmp_path)) == (2.0, 1.5)


def test_memory_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert (available_mib(tmp_path), resident_mib(tmp_path)) == (None, None)


def test_device_facts_say_where_they_were_made(tmp_path: Path) -> None:
    facts = device_facts(HostDevice(), root=tmp_path)

    assert facts["device_memory_mib"] == 8192
    assert facts["back"] == "ctypes"
    assert facts["power_mode"] is None
    assert facts["facealign"]


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_the_commit_of_a_source_tree_is_read(tmp_path: Path, packed: bool) -> None:
    name = "a" * 40
    _write(tmp_path, ".git/HEAD", "ref: refs/heads/main\n")
    path, text = _REF[packed]
    _write(tmp_path, path, text.format(name))

    assert _commit(tmp_path) == name


_REF = {
    False: (".git/refs/heads/main", "{}\n"),
    True: (".git/packed-refs", "# pack-refs\n{} refs/heads/main\n"),
}


def test_an_installed_package_has_no_commit(tmp_path: Path) -> None:
    assert _commit(tmp_path) is None
