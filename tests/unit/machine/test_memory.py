"""Memory and disks."""

from __future__ import annotations

from pathlib import Path

from facealign.machine.memory import Memory, free_disk_bytes, read_memory
from tests.unit.machine.machines import write_container, write_garbage, write_pc


def test_read_memory_is_in_bytes(tmp_path: Path) -> None:
    assert read_memory(write_pc(tmp_path)) == Memory(
        total_bytes=7802872 * 1024,
        available_bytes=6 * 2**30,
        limit_bytes=None,
        swap_bytes=3901432 * 1024,
    )


def test_a_container_can_use_what_its_group_allows(tmp_path: Path) -> None:
    assert read_memory(write_container(tmp_path)).usable_bytes == 2 * 2**30


def test_memory_of_garbage_is_not_known(tmp_path: Path) -> None:
    assert read_memory(write_garbage(tmp_path)).usable_bytes is None


def test_the_disk_of_a_folder_that_is_not_there_is_that_above_it(tmp_path: Path) -> None:
    free = free_disk_bytes(tmp_path / "not" / "there")

    assert free is not None
    assert free > 0
