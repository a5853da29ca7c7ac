"""L4T and the board of a Jetson, from its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.l4t import (
    board_model,
    is_tegra,
    l4t_from_package,
    l4t_from_release,
    l4t_release,
)
from tests.unit.machine.machines import (
    JETSONS,
    RELEASES,
    write_garbage,
    write_jetson,
    write_pc,
)


@pytest.mark.parametrize(("text", "version"), RELEASES.values(), ids=RELEASES.keys())
def test_l4t_from_release_reads_the_file_of_every_jetpack(text: str, version: str) -> None:
    assert l4t_from_release(text) == version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# L4T 40, nightly\nmore", "L4T 40, nightly"),
        ("\x1b[31m# odd\n", "[31m# odd"),
        ("", None),
        ("\n", None),
    ],
    ids=["another form", "control characters", "empty", "blank"],
)
def test_l4t_from_release_keeps_a_line_of_another_form(text: str, expected: str | None) -> None:
    assert l4t_from_release(text) == expected


@pytest.mark.parametrize("jetpack", JETSONS)
def test_a_jetson_has_release_board_and_chip(tmp_path: Path, jetpack: str) -> None:
    root = write_jetson(tmp_path, jetpack)

    assert l4t_release(root) == RELEASES[JETSONS[jetpack].release][1]
    assert board_model(root) == JETSONS[jetpack].board
    assert is_tegra(root)


def test_a_pc_has_neither_release_nor_board(tmp_path: Path) -> None:
    root = write_pc(tmp_path)

    assert (l4t_release(root), board_model(root), is_tegra(root)) == (None, None, False)


def test_garbage_is_no_release_that_a_number_is_read_from(tmp_path: Path) -> None:
    root = write_garbage(tmp_path)

    assert not (l4t_release(root) or "x").replace(".", "").isdecimal()


@pytest.mark.parametrize(
    ("version", "expected"),
    [("36.4.3-20250107174145", "36.4.3"), ("1.2", None), ("", None)],
    ids=["as it is", "another form", "empty"],
)
def test_l4t_from_package_reads_the_version_of_its_core(version: str, expected: str | None) -> None:
    assert l4t_from_package(version) == expected
