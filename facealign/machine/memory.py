"""Memory, swap and room on disks, in bytes."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from facealign.machine.cgroup import memory_limit_bytes
from facealign.machine.files import ROOT, text_from_file

__all__ = ["Memory", "free_disk_bytes", "read_memory"]

_KIB = 2**10


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in bytes; None is what the system does not say.

    Attributes:
        total_bytes: That the system has; on a Jetson the GPU's comes out of it too.
        available_bytes: That can be had without swapping.
        limit_bytes: That the control group allows; None without a limit.
        swap_bytes: Total.
    """

    total_bytes: int | None
    available_bytes: int | None
    limit_bytes: int | None
    swap_bytes: int | None

    @property
    def usable_bytes(self) -> int | None:
        """Return what a process can have at most now; None if the system does not say."""
        known = [each for each in (self.available_bytes, self.limit_bytes) if each is not None]
        return min(known, default=None)


def read_memory(root: Path = ROOT) -> Memory:
    """Return the memory of this machine."""
    text = text_from_file(root / "proc/meminfo")
    return Memory(
        total_bytes=_field(text, "MemTotal"),
        available_bytes=_field(text, "MemAvailable"),
        limit_bytes=memory_limit_bytes(root),
        swap_bytes=_field(text, "SwapTotal"),
    )


def free_disk_bytes(folder: Path) -> int | None:
    """Return the room where a folder is, or would be made; None if the system does not say."""
    place = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
    try:
        return None if place is None else shutil.disk_usage(place).free
    except OSError:
        return None


def _field(meminfo: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) * _KIB if found else None
