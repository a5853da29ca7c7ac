"""What a Jetson says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.jetson import read_jetson
from tests.unit.machine.machines import (
    JETSONS,
    write_container,
    write_files,
    write_garbage,
    write_jetson,
    write_pc,
)


@pytest.mark.parametrize("jetpack", JETSONS)
def test_read_jetson_knows_jetpack_and_tensorrt(tmp_path: Path, jetpack: str) -> None:
    found = read_jetson(write_jetson(tmp_path, jetpack))

    assert found is not None
    assert found.jetpack is not None
    assert (found.jetpack.version, found.tensorrt) == (jetpack, JETSONS[jetpack].nvinfer)
    assert found.l4t_from == "/etc/nv_tegra_release"


def test_read_jetson_reads_packages_where_a_container_lacks_the_file(tmp_path: Path) -> None:
    found = read_jetson(write_container(tmp_path))

    assert found is not None
    assert found.jetpack is not None
    assert (found.l4t, found.l4t_from) == ("36.4.3", "the package nvidia-l4t-core")
    assert (found.jetpack.version, found.tensorrt, found.board) == ("6.2", "10.3.0", None)


def test_read_jetson_takes_the_package_of_jetpack_where_l4t_is_not_known(tmp_path: Path) -> None:
    root = write_jetson(tmp_path, "6.2")
    (root / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 9.9, GCID: 1\n")

    found = read_jetson(root)

    assert found is not None
    assert found.jetpack is not None
    assert (found.l4t, found.jetpack.version) == ("36.9.9", "6.2")
    assert "nvidia-jetpack" in found.jetpack.source


def test_read_jetson_says_nothing_of_a_release_that_nothing_knows(tmp_path: Path) -> None:
    line = "# R41 (release), REVISION: 1.0, GCID: 1\n"

    found = read_jetson(write_files(tmp_path, {"etc/nv_tegra_release": line}))

    assert found is not None
    assert (found.l4t, found.jetpack, found.tensorrt) == ("41.1.0", None, None)


def test_read_jetson_of_a_broken_release_reads_the_packages(tmp_path: Path) -> None:
    root = write_jetson(tmp_path, "7.1")
    (root / "etc/nv_tegra_release").write_text("# R38 (rel")

    found = read_jetson(root)

    assert found is not None
    assert found.l4t == "38.4.0"


def test_read_jetson_of_garbage_knows_neither_release_nor_jetpack(tmp_path: Path) -> None:
    found = read_jetson(write_garbage(tmp_path))

    assert found is not None
    assert (found.l4t, found.jetpack) == (None, None)


def test_a_pc_is_no_jetson(tmp_path: Path) -> None:
    assert read_jetson(write_pc(tmp_path)) is None


def test_a_board_without_l4t_is_a_jetson_by_its_chip(tmp_path: Path) -> None:
    tree = {"proc/device-tree/compatible": "nvidia,p3701\0nvidia,tegra234\0"}

    assert read_jetson(write_files(tmp_path, dict(tree))) is not None
