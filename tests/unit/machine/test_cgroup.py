"""Limits of control groups, both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from facealign.machine.cgroup import cpu_quota, memory_limit_bytes
from tests.unit.machine.machines import write_files

V1 = "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n0::/\n"
UNLIMITED_V1 = "9223372036854771712"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None), ("5 0\n", None)],
    ids=["limited", "unlimited", "empty", "no period"],
)
def test_cpu_quota_of_version_2(tmp_path: Path, text: str, expected: float | None) -> None:
    root = write_files(tmp_path, {"sys/fs/cgroup/cpu.max": text})

    assert cpu_quota(root) == expected


def test_the_tightest_group_above_a_process_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/system.slice/job.service\n",
        "sys/fs/cgroup/system.slice/job.service/cpu.max": "400000 100000",
        "sys/fs/cgroup/system.slice/cpu.max": "200000 100000",
        "sys/fs/cgroup/system.slice/job.service/memory.max": "1073741824",
        "sys/fs/cgroup/system.slice/memory.max": "max",
    }
    root = write_files(tmp_path, dict(files))

    assert (cpu_quota(root), memory_limit_bytes(root)) == (2.0, 2**30)


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize("group", ["", "/docker/0123"], ids=["own mount", "host mount"])
def test_cpu_quota_of_version_1(tmp_path: Path, mount: str, group: str) -> None:
    folder = f"sys/fs/cgroup/{mount}{group}"
    files = {
        "proc/self/cgroup": V1.replace("cpu,cpuacct", mount),
        f"{folder}/cpu.cfs_quota_us": "50000\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
    }

    assert cpu_quota(write_files(tmp_path, dict(files))) == 0.5


def test_no_quota_of_version_1_is_none(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "9"}

    assert cpu_quota(write_files(tmp_path, dict(files))) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("2147483648", 2**31), (UNLIMITED_V1, None)], ids=["limit", "none"]
)
def test_memory_limit_of_version_1(tmp_path: Path, text: str, expected: int | None) -> None:
    files = {"proc/self/cgroup": V1, "sys/fs/cgroup/memory/memory.limit_in_bytes": text}

    assert memory_limit_bytes(write_files(tmp_path, dict(files))) == expected


def test_a_group_outside_of_the_mount_is_not_followed(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../../etc\n", "sys/fs/cgroup/cpu.max": "300000 100000"}

    assert cpu_quota(write_files(tmp_path, dict(files))) == 3.0
