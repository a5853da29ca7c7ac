"""Python and its packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from facealign.machine.packages import (
    SUPPORTED_PYTHON,
    Python,
    dist_packages_with,
    installed_versions,
    read_python,
)
from tests.unit.machine.machines import JETSONS, write_jetson

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_read_python_is_the_one_that_runs_this() -> None:
    found = read_python()

    assert found.version == sys.version_info[:3]
    assert found.is_supported


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 8, 10), False), ((3, 10, 0), True), ((3, 14, 0), False)]
)
def test_versions_are_supported_as_the_package_asks(
    version: tuple[int, int, int], expected: bool
) -> None:
    python = Python(version, Path("/usr"), is_virtual=False, sees_system=True)

    assert python.is_supported is expected


def test_the_supported_versions_are_those_of_the_package() -> None:
    oldest, too_new = (".".join(map(str, each)) for each in SUPPORTED_PYTHON)

    assert f'requires-python = ">={oldest},<{too_new}"' in PYPROJECT.read_text()


def test_installed_versions_are_of_those_that_are_there() -> None:
    assert set(installed_versions(("numpy", "no-such-package"))) == {"numpy"}


@pytest.mark.parametrize("jetpack", JETSONS)
def test_dist_packages_with_tensorrt_are_of_one_python(tmp_path: Path, jetpack: str) -> None:
    version = JETSONS[jetpack].python

    found = dist_packages_with("tensorrt", write_jetson(tmp_path, jetpack))

    assert found == {version: tmp_path / f"usr/lib/python{version}/dist-packages"}
