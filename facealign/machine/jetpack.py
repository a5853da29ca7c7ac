"""Which JetPack a release of Linux for Tegra belongs to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["JETPACKS", "JetPack", "jetpack_from_l4t", "jetpack_from_package"]

_CONTAINERS = "dusty-nv/jetson-containers, l4t_version.py"
_ARCHIVE = "developer.nvidia.com/embedded, JetPack archive, as third parties list it"


@dataclass(frozen=True, slots=True)
class JetPack:
    """A release of JetPack.

    Attributes:
        version: Such as ``6.2``.
        source: Where it is written that this L4T is of it.
        is_preview: Whether NVIDIA calls it a developer preview.
    """

    version: str
    source: str
    is_preview: bool = False


JETPACKS: dict[str, JetPack] = {
    "32.6.1": JetPack("4.6", _CONTAINERS),
    "32.7.1": JetPack("4.6.1", _CONTAINERS),
    "32.7.2": JetPack("4.6.2", _CONTAINERS),
    "32.7.3": JetPack("4.6.3", _CONTAINERS),
    "32.7.4": JetPack("4.6.4", _CONTAINERS),
    "32.7.5": JetPack("4.6.5", _CONTAINERS),
    "32.7.6": JetPack("4.6.6", "dusty-nv/jetson-containers#1179"),
    "34.1.0": JetPack("5.0", _CONTAINERS, is_preview=True),
    "34.1.1": JetPack("5.0.1", _CONTAINERS, is_preview=True),
    "35.1.0": JetPack("5.0.2", _CONTAINERS),
    "35.2.1": JetPack("5.1", _CONTAINERS),
    "35.3.1": JetPack("5.1.1", _CONTAINERS),
    "35.4.1": JetPack("5.1.2", f"{_CONTAINERS}; OE4T/meta-tegra#1353"),
    "35.5.0": JetPack("5.1.3", "dusty-nv/jetson-containers#1042"),
    "35.6.0": JetPack("5.1.4", "dusty-nv/jetson-containers#1042"),
    "35.6.1": JetPack("5.1.5", "dusty-nv/jetson-containers#1042"),
    "35.6.2": JetPack("5.1.5", "dusty-nv/jetson-containers#1179"),
    "36.2.0": JetPack("6.0", f"{_CONTAINERS}; OE4T/meta-tegra#1435", is_preview=True),
    "36.3.0": JetPack("6.0", _CONTAINERS),
    "36.4.0": JetPack("6.1", f"{_CONTAINERS}; {_ARCHIVE}"),
    "36.4.2": JetPack("6.1.1", _CONTAINERS),
    "36.4.3": JetPack("6.2", f"{_CONTAINERS}; balena-os/balena-jetson-orin#541"),
    "36.4.4": JetPack("6.2.1", f"rbonghi/jetson_stats#706; {_ARCHIVE}"),
    "36.4.7": JetPack("6.2.1", "an update of 36.4.4 by apt, as third parties say"),
    "36.5.0": JetPack("6.2.2", _ARCHIVE),
    "36.5.2": JetPack("6.2.3", _ARCHIVE),
    "38.2.0": JetPack("7.0", _ARCHIVE),
    "38.2.1": JetPack("7.0", _ARCHIVE),
    "38.4.0": JetPack("7.1", _ARCHIVE),
    "39.2.0": JetPack("7.2", f"OE4T/meta-tegra#2281; {_ARCHIVE}"),
    "39.2.1": JetPack("7.2.1", f"OE4T/meta-tegra#2339; {_ARCHIVE}"),
}


def jetpack_from_l4t(l4t: str) -> JetPack | None:
    """Return the JetPack of an L4T such as ``36.4.3``; None for one that is not in the table.

    Nothing is guessed from its neighbours: the next release may bring another TensorRT.
    """
    # Files before R35 have `REVISION: 1`, where NVIDIA's pages say 1.0.
    return JETPACKS.get(l4t if l4t.count(".") > 1 else f"{l4t}.0")


def jetpack_from_package(version: str) -> JetPack | None:
    """Return the JetPack of a version of the package ``nvidia-jetpack``: ``6.2+b77``."""
    number = version.partition("+")[0].partition("-")[0]
    parts = number.split(".")
    if not 2 <= len(parts) <= 3 or not all(part.isdecimal() for part in parts):
        return None
    return JetPack(number, "the package nvidia-jetpack of this system")
