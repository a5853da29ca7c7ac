"""What Python this is, and which packages it has; none of them is imported."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facealign.machine.files import ROOT, text_from_file

__all__ = [
    "SUPPORTED_PYTHON",
    "Python",
    "dist_packages_with",
    "installed_versions",
    "read_python",
]

SUPPORTED_PYTHON = ((3, 10), (3, 14))
"""The oldest, and the first that is too new: ``requires-python`` of the package."""


@dataclass(frozen=True, slots=True)
class Python:
    """The interpreter that runs this.

    Attributes:
        version: Such as ``(3, 10, 12)``.
        prefix: Its environment.
        is_virtual: Whether that is a virtual environment.
        sees_system: Whether packages of the system can be imported in it.
    """

    version: tuple[int, int, int]
    prefix: Path
    is_virtual: bool
    sees_system: bool

    @property
    def is_supported(self) -> bool:
        """Return whether facealign is made for it."""
        oldest, too_new = SUPPORTED_PYTHON
        return oldest <= self.version[:2] < too_new

    @property
    def short(self) -> str:
        """Return such as ``3.10``."""
        return f"{self.version[0]}.{self.version[1]}"


def read_python() -> Python:
    """Return the interpreter that runs this."""
    prefix = Path(sys.prefix)
    is_virtual = sys.prefix != sys.base_prefix
    settings = text_from_file(prefix / "pyvenv.cfg").lower().replace(" ", "")
    return Python(
        version=sys.version_info[:3],
        prefix=prefix,
        is_virtual=is_virtual,
        sees_system=not is_virtual or "include-system-site-packages=true" in settings,
    )


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed, by the name asked for."""
    from importlib import metadata  # 20 ms, and an engine that reads L4T needs none of it

    found: dict[str, str] = {}
    for name in names:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if isinstance(version, str):  # a broken installation has metadata without a version
            found[name] = version
    return found


def dist_packages_with(module: str, root: Path = ROOT) -> dict[str, Path]:
    """Return where the system's own Pythons have a module, by their version, such as ``3.10``.

    JetPack installs TensorRT's bindings there, for the Python of that Ubuntu alone.
    """
    found: dict[str, Path] = {}
    for folder in sorted((root / "usr/lib").glob("python3*/dist-packages")):
        for library in sorted((folder / module).glob("*.cpython-3*")):
            digits = library.name.partition(".cpython-3")[2]
            minor = digits[: next((i for i, c in enumerate(digits) if not c.isdecimal()), None)]
            found[f"3.{minor}"] = folder
    return found
