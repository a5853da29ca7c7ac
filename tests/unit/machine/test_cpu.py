"""The processor and what of it may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.cpu import read_cpu
from tests.unit.machine.machines import (
    write_container,
    write_files,
    write_garbage,
    write_jetson,
    write_pc,
)


def test_read_cpu_of_a_pc_has_its_model_and_the_flags_that_matter(tmp_path: Path) -> None:
    cpu = read_cpu(write_pc(tmp_path))

    assert cpu.model == "Intel(R) Xeon(R) Gold 6430"
    assert cpu.flags == (
        *("avx2", "f16c", "avx512f", "avx512_vnni", "avx_vnni"),
        *("amx_tile", "amx_int8", "amx_bf16"),
    )
    assert (cpu.core_count, cpu.allowed_cores, cpu.quota) == (1, 1, None)


def test_read_cpu_of_a_jetson_names_its_cores(tmp_path: Path) -> None:
    cpu = read_cpu(write_jetson(tmp_path, "6.2"))

    assert (cpu.model, cpu.flags) == ("Arm Cortex-A78AE", ("asimd", "asimdhp", "asimddp"))


def test_read_cpu_of_an_unknown_core_gives_its_numbers(tmp_path: Path) -> None:
    info = "processor : 0\nCPU implementer : 0x99\nCPU part : 0x001\n"

    assert read_cpu(write_files(tmp_path, {"proc/cpuinfo": info})).model == (
        "Arm, implementer 0x99 part 0x001"
    )


def test_unlike_cores_are_counted_and_only_what_all_can_do_is_told(tmp_path: Path) -> None:
    little, big = (
        f"processor : {{}}\nFeatures : asimd{flags}\nCPU implementer : 0x41\nCPU part : {part}\n\n"
        for flags, part in (("", "0xd05"), (" asimddp", "0xd0b"))
    )
    info = little.format(0) + little.format(1) + big.format(2)

    cpu = read_cpu(write_files(tmp_path, {"proc/cpuinfo": info}))

    assert cpu.model == "2 x Arm Cortex-A55, 1 x Arm Cortex-A76"
    assert (cpu.flags, cpu.core_count) == (("asimd",), 3)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [("0-3,8", 5), ("2", 1), ("0-1", 2), ("nonsense", 2)],
    ids=["ranges", "one", "all", "broken"],
)
def test_allowed_cores_are_those_of_this_process(tmp_path: Path, cores: str, expected: int) -> None:
    files = {
        "proc/cpuinfo": "processor : 0\nprocessor : 1\n",
        "proc/self/status": f"Name:\tx\nCpus_allowed_list:\t{cores}\n",
    }

    assert read_cpu(write_files(tmp_path, dict(files))).allowed_cores == expected


def test_the_quota_of_a_container_is_read(tmp_path: Path) -> None:
    cpu = read_cpu(write_container(tmp_path))

    assert (cpu.core_count, cpu.allowed_cores, cpu.quota) == (2, 2, 1.0)


def test_read_cpu_of_garbage_still_counts_cores(tmp_path: Path) -> None:
    cpu = read_cpu(write_garbage(tmp_path))

    assert (cpu.model, cpu.flags, cpu.quota) == (None, (), None)
    assert cpu.core_count >= 1
