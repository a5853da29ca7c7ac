"""The system of a Jetson: the release of Linux for Tegra, and the board."""

from __future__ import annotations

import re
from pathlib import Path

from facealign.machine.files import ROOT, line_from_file, text_from_file

__all__ = ["board_model", "is_tegra", "l4t_from_package", "l4t_from_release", "l4t_release"]

_RELEASE_FILE = "etc/nv_tegra_release"
_BOARD_FILE = "proc/device-tree/model"
_CHIP_FILE = "proc/device-tree/compatible"
_RELEASE = re.compile(r"#\s*R(\d+)\s*\(release\)\s*,\s*REVISION:\s*(\d+(?:\.\d+)*)")
_PACKAGE = re.compile(r"(\d+\.\d+\.\d+)-\d{8,}")


def l4t_release(root: Path = ROOT) -> str | None:
    """Return what `l4t_from_release` reads of this machine's file; None if there is none."""
    return l4t_from_release(text_from_file(root / _RELEASE_FILE, max_bytes=4096))


def l4t_from_release(text: str) -> str | None:
    """Return the version in ``/etc/nv_tegra_release``, such as ``36.4.3``.

    A first line of another form is returned as it is: it still tells one system from another. None
    stands for a file without any text.
    """
    match = _RELEASE.match(text)
    if match:
        return f"{match[1]}.{match[2]}"
    lines = text.splitlines()
    line = "".join(character for character in lines[0] if character.isprintable()) if lines else ""
    return line.strip("# ") or None


def l4t_from_package(version: str) -> str | None:
    """Return the release in a version of ``nvidia-l4t-core``: ``36.4.3-20250107174145``."""
    match = _PACKAGE.match(version)
    return match[1] if match else None


def board_model(root: Path = ROOT) -> str | None:
    """Return such as ``NVIDIA Jetson Orin Nano Developer Kit``; None without a device tree."""
    line = line_from_file(root / _BOARD_FILE)
    return line.strip("# ") or None if line else None


def is_tegra(root: Path = ROOT) -> bool:
    """Return whether the device tree names one of NVIDIA's chips, or L4T has left its file.

    Boards are named in any way: JetPack 5 calls one ``NVIDIA Orin Nano Developer Kit``.
    """
    return "nvidia,tegra" in text_from_file(root / _CHIP_FILE) or (root / _RELEASE_FILE).is_file()
