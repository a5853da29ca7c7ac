"""Versions from dpkg's list."""

from __future__ import annotations

from pathlib import Path

from facealign.machine.debian_packages import debian_versions
from tests.unit.machine.machines import write_container, write_files, write_garbage


def test_debian_versions_are_of_the_packages_asked_for(tmp_path: Path) -> None:
    found = debian_versions(("nvidia-l4t-core", "not-there"), write_container(tmp_path))

    assert found == {"nvidia-l4t-core": "36.4.3-20250107174145"}


def test_a_package_that_was_removed_is_not_installed(tmp_path: Path) -> None:
    text = "Package: nvidia-jetpack\nStatus: deinstall ok config-files\nVersion: 6.2+b77\n\n"

    root = write_files(tmp_path, {"var/lib/dpkg/status": text})

    assert debian_versions(("nvidia-jetpack",), root) == {}


def test_garbage_or_no_list_has_no_packages(tmp_path: Path) -> None:
    assert debian_versions(("adduser",), write_garbage(tmp_path)) == {}
    assert debian_versions(("adduser",), tmp_path / "nowhere") == {}
