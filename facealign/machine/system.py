"""The operating system, and whether this is a container of it."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from facealign.machine.files import ROOT, line_from_file, text_from_file

__all__ = ["System", "read_system"]

# Files that a container's runtime leaves in it, and what its groups are called.
_MARKS = {".dockerenv": "Docker", "run/.containerenv": "Podman", "run/systemd/container": "systemd"}
_GROUPS = {"docker": "Docker", "kubepods": "Kubernetes", "libpod": "Podman", "lxc": "LXC"}


@dataclass(frozen=True, slots=True)
class System:
    """An operating system.

    Attributes:
        name: Such as ``Ubuntu 22.04.5 LTS``; None if it does not say.
        kernel: Such as ``5.15.148-tegra``.
        architecture: Such as ``aarch64``.
        libc: Such as ``glibc 2.35``; None elsewhere than on Linux.
        container: What kind, such as ``Docker``; None if it looks like none.
    """

    name: str | None
    kernel: str
    architecture: str
    libc: str | None
    container: str | None


def read_system(root: Path = ROOT) -> System:
    """Return the system of this machine; architecture and libc are those of this process."""
    return System(
        name=_name(text_from_file(root / "etc/os-release")),
        kernel=line_from_file(root / "proc/sys/kernel/osrelease") or platform.release(),
        architecture=platform.machine(),
        libc=_libc(),
        container=_container(root),
    )


def _name(os_release: str) -> str | None:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)"?$', os_release, re.MULTILINE)
    return found[1].strip() or None if found else None


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, ValueError, OSError):  # no Unix, or another libc
        return None


def _container(root: Path) -> str | None:
    for name, kind in _MARKS.items():
        if (root / name).exists():
            return kind
    groups = text_from_file(root / "proc/1/cgroup")
    return next((kind for word, kind in _GROUPS.items() if f"/{word}" in groups), None)
