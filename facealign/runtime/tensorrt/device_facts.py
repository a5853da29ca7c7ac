"""What a measurement on a device must say about where it was made."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import facealign
from facealign.machine.power import power_mode
from facealign.runtime.tensorrt.device import Device

__all__ = ["available_mib", "device_facts", "resident_mib"]

_ROOT = Path("/")
_KIB = 2**10
_LIBRARIES = ("numpy", "opencv-python-headless", "opencv-python", "pycuda")


def device_facts(device: Device, *, root: Path = _ROOT) -> dict[str, object]:
    """Return device, system, versions and time, for JSON; what cannot be read is None."""
    info = device.info
    return {
        "created_utc": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "facealign": facealign.__version__,
        "commit": _commit(Path(facealign.__file__).parents[1]),
        "python": platform.python_version(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "system": platform.platform(),
        "cpu_count": os.cpu_count(),
        "device_memory_mib": round(info.memory_bytes / _KIB**2),
        "is_integrated": info.is_integrated,
        "back": device.back,
        "power_mode": power_mode(root),
    }


def resident_mib(root: Path = _ROOT) -> float | None:
    """Return how much memory this process has."""
    return _kib_field(root / "proc/self/status", "VmRSS")


def available_mib(root: Path = _ROOT) -> float | None:
    """Return how much memory the system has left; on a Jetson the GPU's comes out of it too."""
    return _kib_field(root / "proc/meminfo", "MemAvailable")


def _kib_field(path: Path, name: str) -> float | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", _text(path), re.MULTILINE)
    return round(int(found[1]) / _KIB, 1) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """Return the commit of a source tree; None for an installed package."""
    head = _text(folder / ".git/HEAD").strip()
    if not head.startswith("ref: "):
        return head or None
    ref = head.removeprefix("ref: ")
    loose = _text(folder / ".git" / ref).strip()
    packed = re.search(
        rf"^([0-9a-f]+) {re.escape(ref)}$", _text(folder / ".git/packed-refs"), re.MULTILINE
    )
    return loose or (packed[1] if packed else None)
