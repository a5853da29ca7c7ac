"""Versions of Debian packages, from dpkg's own list; no process is started."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facealign.machine.files import ROOT

__all__ = ["debian_versions"]

_STATUS = "var/lib/dpkg/status"


def debian_versions(names: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Return the versions of those packages that are installed.

    A container often lacks ``/etc/nv_tegra_release`` and still has this.
    """
    wanted = set(names)
    found: dict[str, str] = {}
    package, is_installed = "", False
    try:
        with (root / _STATUS).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:  # of megabytes: not read at once
                field, _, value = line.partition(":")
                value = value.strip()
                if field == "Package":
                    package, is_installed = value, False
                elif field == "Status":
                    is_installed = value.endswith(" installed")
                elif field == "Version" and package in wanted and is_installed:
                    found[package] = value
    except OSError:
        return {}
    return found
