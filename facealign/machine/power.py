"""How fast the machine may run now: power mode, governor, fixed clocks, temperature."""

from __future__ import annotations

import re
from pathlib import Path

from facealign.machine.files import ROOT, line_from_file, number_from_file, text_from_file

__all__ = ["clocks_text", "governors", "hottest_zone", "power_mode"]

_STATUS = "var/lib/nvpmodel/status"  # such as `pmode:0002`
_MODES = "etc/nvpmodel.conf"
_POLICIES = "sys/devices/system/cpu/cpufreq"
_DEVFREQ = "sys/class/devfreq"


def power_mode(root: Path = ROOT) -> str | None:
    """Return number and name of a Jetson's power mode, such as ``2 (MAXN)``; None elsewhere."""
    status = re.search(r"pmode:\s*(\d+)", text_from_file(root / _STATUS))
    if status is None:
        return None
    number = int(status[1])
    named = re.search(rf"POWER_MODEL\s+ID={number}\s+NAME=(\S+)", text_from_file(root / _MODES))
    return f"{number} ({named[1].rstrip('>')})" if named else str(number)


def governors(root: Path = ROOT) -> tuple[str, ...]:
    """Return the names of the governors of the CPU's clocks, each once; empty if it has none."""
    files = sorted((root / _POLICIES).glob("policy*/scaling_governor"))
    return tuple(dict.fromkeys(name for file in files if (name := line_from_file(file))))


def clocks_text(root: Path = ROOT) -> str | None:
    """Return whether clocks are held at one frequency, as ``jetson_clocks`` does it.

    None where no clock can be read.
    """
    cpu = [
        _is_fixed(folder / "scaling_min_freq", folder / "scaling_max_freq")
        for folder in sorted((root / _POLICIES).glob("policy*"))
    ]
    gpu = [
        _is_fixed(folder / "min_freq", folder / "max_freq")
        for folder in sorted((root / _DEVFREQ).glob("*gpu*"))
    ]
    parts = {"CPU": [each for each in cpu if each is not None]}
    parts["GPU"] = [each for each in gpu if each is not None]
    texts = [f"{name} {_held(fixed)}" for name, fixed in parts.items() if fixed]
    return ", ".join(texts) or None


def hottest_zone(root: Path = ROOT) -> tuple[str, float] | None:
    """Return the name and the degrees Celsius of the hottest sensor; None if none can be read."""
    found = []
    for folder in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = number_from_file(folder / "temp")  # a zone that is off cannot be read
        if millidegrees is not None:
            found.append((millidegrees / 1000, line_from_file(folder / "type") or folder.name))
    if not found:
        return None
    degrees, name = max(found)
    return name, degrees


def _is_fixed(lowest: Path, highest: Path) -> bool | None:
    low, high = number_from_file(lowest), number_from_file(highest)
    return None if low is None or high is None else low == high


def _held(fixed: list[bool]) -> str:
    return "fixed" if all(fixed) else "free" if not any(fixed) else "partly fixed"
