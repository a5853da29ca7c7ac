"""What the clocks are set to, where the system tells; nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["clock_state", "throttle_count"]

_ROOT = Path("/")
_CPUS = "sys/devices/system/cpu"
_TURBO = {
    f"{_CPUS}/intel_pstate/no_turbo": {"0": "on", "1": "off"},
    f"{_CPUS}/cpufreq/boost": {"1": "on", "0": "off"},
}
_NVPMODEL = "var/lib/nvpmodel/status"
_NVPMODEL_NAMES = "etc/nvpmodel.conf"
_GPU_GLOBS = ("sys/class/devfreq/*gpu*", "sys/class/devfreq/*gv11b", "sys/class/devfreq/*ga10b")


def clock_state(root: Path = _ROOT) -> dict[str, str]:
    """Return what can be read of the clocks, by name; nothing in a container that hides them.

    ``governor``, ``cpu frequency`` (now, and its limits), ``turbo``, and on a Jetson ``power
    mode`` (nvpmodel), ``gpu frequency``, and ``clocks``: ``fixed`` if lower and upper limit are the
    same everywhere, which is what ``jetson_clocks`` does.
    """
    cpus = sorted((root / _CPUS).glob("cpu[0-9]*/cpufreq"))
    gpus = sorted({path for glob in _GPU_GLOBS for path in root.glob(glob)})
    found = {
        "governor": _joined(_text(cpu / "scaling_governor") for cpu in cpus),
        "cpu frequency": _cpu_frequency(cpus),
        "turbo": next((v for p, d in _TURBO.items() if (v := d.get(_text(root / p)))), ""),
        "power mode": _power_mode(root),
        "gpu frequency": _gpu_frequency(gpus),
        "clocks": _fixed(cpus, gpus),
    }
    return {name: value for name, value in found.items() if value}


def throttle_count(root: Path = _ROOT) -> int | None:
    """Return how often a processor was slowed down for its heat since the start; None if unknown.

    Cores of one package count the same events, so only the difference of two counts means much.
    """
    paths = (root / _CPUS).glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
    counts = [text for path in paths if (text := _text(path)).isdecimal()]
    return sum(map(int, counts)) if counts else None


def _cpu_frequency(cpus: list[Path]) -> str:
    """Return the mean frequency now, and the limits it may move in, in MHz."""
    now, low, high = (
        [int(text) // 1000 for cpu in cpus if (text := _text(cpu / name)).isdecimal()]
        for name in ("scaling_cur_freq", "scaling_min_freq", "scaling_max_freq")
    )
    if not now or not low or not high:
        return ""
    return f"{sum(now) // len(now)} MHz of {min(low)} to {max(high)}"


def _gpu_frequency(gpus: list[Path]) -> str:
    parts = (
        [int(text) // 1_000_000 for text in texts]
        for gpu in gpus
        if all(texts := [_text(gpu / n) for n in ("cur_freq", "min_freq", "max_freq")])
        and all(map(str.isdecimal, texts))
    )
    return _joined(f"{now} MHz of {low} to {high}" for now, low, high in parts)


def _fixed(cpus: list[Path], gpus: list[Path]) -> str:
    limits = [
        (_text(folder / low), _text(folder / high))
        for folders, low, high in (
            (cpus, "scaling_min_freq", "scaling_max_freq"),
            (gpus, "min_freq", "max_freq"),
        )
        for folder in folders
    ]
    known = [pair for pair in limits if all(pair)]
    if not known:
        return ""
    return "fixed" if all(low == high for low, high in known) else "free to move"


def _power_mode(root: Path) -> str:
    """Return number and name as nvpmodel has them, such as ``0 (MAXN)``."""
    status = re.search(r"pmode:\s*(\d+)", _text(root / _NVPMODEL))
    if status is None:
        return ""
    names = _text(root / _NVPMODEL_NAMES)
    named = re.search(rf"POWER_MODEL\s+ID={int(status[1])}\s+NAME=(\w+)", names)
    return f"{int(status[1])} ({named[1]})" if named else str(int(status[1]))


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
