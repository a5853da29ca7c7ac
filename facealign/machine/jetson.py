"""What a Jetson says of itself, also out of a container that lacks half of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facealign.machine.debian_packages import debian_versions
from facealign.machine.files import ROOT
from facealign.machine.jetpack import JetPack, jetpack_from_l4t, jetpack_from_package
from facealign.machine.l4t import board_model, is_tegra, l4t_from_package, l4t_release
from facealign.machine.libraries import tensorrt_version

__all__ = ["Jetson", "read_jetson"]

_CORE, _JETPACK = "nvidia-l4t-core", "nvidia-jetpack"
_TENSORRT = ("libnvinfer11", "libnvinfer10", "libnvinfer8")


@dataclass(frozen=True, slots=True)
class Jetson:
    """A Jetson.

    Attributes:
        board: Such as ``NVIDIA Jetson Orin Nano Developer Kit``.
        l4t: Such as ``36.4.3``; None if it cannot be read.
        l4t_from: Which file said so.
        jetpack: None for a release that is not known.
        tensorrt: Version that is installed, such as ``10.3.0``, by package or library name.
    """

    board: str | None
    l4t: str | None
    l4t_from: str
    jetpack: JetPack | None
    tensorrt: str | None


def read_jetson(root: Path = ROOT) -> Jetson | None:
    """Return this Jetson; None if the machine is none.

    A container may lack the device tree or L4T's file; the packages of L4T tell it too.
    """
    board = board_model(root)
    release = l4t_release(root)
    packages = debian_versions((_CORE, _JETPACK, *_TENSORRT), root)
    if _CORE not in packages and not is_tegra(root):
        return None
    l4t, l4t_from = release, "/etc/nv_tegra_release"
    if not _is_release(l4t) and _CORE in packages:
        l4t, l4t_from = l4t_from_package(packages[_CORE]), f"the package {_CORE}"
    jetpack = jetpack_from_l4t(l4t) if l4t and _is_release(l4t) else None
    if jetpack is None and _JETPACK in packages:
        jetpack = jetpack_from_package(packages[_JETPACK])
    return Jetson(
        board=board,
        l4t=l4t if _is_release(l4t) else None,
        l4t_from=l4t_from,
        jetpack=jetpack,
        tensorrt=tensorrt_version(root) or _packaged(packages),
    )


def _is_release(text: str | None) -> bool:
    """Return whether it is a number, and not the first line of a broken file."""
    return bool(text) and all(part.isdecimal() for part in str(text).split("."))


def _packaged(packages: dict[str, str]) -> str | None:
    """Return the first three numbers of a version such as ``10.3.0.30-1+cuda12.5``."""
    version = next((packages[name] for name in _TENSORRT if name in packages), None)
    return ".".join(version.partition("-")[0].split(".")[:3]) if version else None
