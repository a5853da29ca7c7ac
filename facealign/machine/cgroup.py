"""What the control groups of this process allow it; a container is limited by them alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from facealign.machine.files import ROOT, number_from_file, text_from_file

__all__ = ["cpu_quota", "memory_limit_bytes"]

_FOLDER = "sys/fs/cgroup"
_UNLIMITED = 2**60  # version 1 writes the largest multiple of a page below 2^63


def cpu_quota(root: Path = ROOT) -> float | None:
    """Return how many cores may be kept busy; None without a limit.

    Source: Linux, admin-guide/cgroup-v2 (``cpu.max``) and scheduler/sched-bwc (version 1).
    """
    quotas = [_quota_2(folder) for folder in _folders(root, "")]
    for controller in ("cpu", "cpu,cpuacct"):
        quotas += [_quota_1(folder) for folder in _folders(root, controller)]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit_bytes(root: Path = ROOT) -> int | None:
    """Return how much memory may be taken; None without a limit."""
    limits = [number_from_file(folder / "memory.max") for folder in _folders(root, "")]
    limits += [
        number_from_file(folder / "memory.limit_in_bytes") for folder in _folders(root, "memory")
    ]
    return min((each for each in limits if each is not None and each < _UNLIMITED), default=None)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folder of this process's group and those above it, each of which may limit it.

    In a container the group's own name is often not below its mount, and the mount is the group.
    """
    mount = root / _FOLDER / controller
    group = PurePosixPath(_group(root, controller).lstrip("/"))
    if ".." in group.parts:
        group = PurePosixPath()
    yield mount / group
    for above in group.parents:
        yield mount / above


def _group(root: Path, controller: str) -> str:
    """Return the name of this process's group, such as ``/docker/0123``."""
    for line in text_from_file(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == controller or (controller and controller in controllers.split(",")):
            return group
    return ""


def _quota_2(folder: Path) -> float | None:
    quota, period = (*text_from_file(folder / "cpu.max").split(), "", "")[:2]
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return None  # "max 100000": no limit
    return int(quota) / int(period)


def _quota_1(folder: Path) -> float | None:
    quota = number_from_file(folder / "cpu.cfs_quota_us")  # -1 is no limit, and no plain number
    period = number_from_file(folder / "cpu.cfs_period_us")
    return quota / period if quota and period else None
