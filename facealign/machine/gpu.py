"""Graphics processors, without asking CUDA."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from facealign.machine.files import ROOT, line_from_file, text_from_file

__all__ = ["Gpus", "SmiGpu", "ask_nvidia_smi", "cuda_of_driver", "read_gpus"]

NVIDIA = "NVIDIA"
# Source: pci-ids.ucw.cz.
_VENDORS = {"0x10de": NVIDIA, "0x1002": "AMD", "0x8086": "Intel", "0x1a03": "ASPEED"}
_DRIVER = re.compile(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)")
# The oldest driver of a PC that runs programs of a CUDA. Source: CUDA release notes, table of
# minor version compatibility; not for Jetson, whose drivers have numbers of their own.
_OLDEST_DRIVERS = {(580,): 13, (525, 60, 13): 12, (450, 80, 2): 11}
# Not sys/class/drm: a card whose driver is not loaded is not there.
_BUS = "sys/bus/pci/devices"
_SMI_S = 5.0
_SMI_FIELDS = ("name", "compute_cap", "memory.total", "driver_version")


@dataclass(frozen=True, slots=True)
class SmiGpu:
    """One line of ``nvidia-smi``; what it does not know, as on a Jetson, is None."""

    name: str
    compute_capability: str | None
    memory_bytes: int | None
    driver: str | None


@dataclass(frozen=True, slots=True)
class Gpus:
    """What the system says of its graphics processors.

    Attributes:
        vendors: Of each on the PCI bus, such as ``NVIDIA``; that of a Jetson is not on it.
        models: Names that NVIDIA's driver gives.
        cards: What ``nvidia-smi`` says; it also works where Windows has the driver (WSL).
        driver: Version of NVIDIA's driver, such as ``580.95.05``; None if it is not loaded.
        has_device_files: Whether this process could open one: a container may be given none.
        has_bus: Whether the PCI bus is to be seen, and with it what a container is not given.
    """

    vendors: tuple[str, ...]
    models: tuple[str, ...]
    cards: tuple[SmiGpu, ...]
    driver: str | None
    has_device_files: bool
    has_bus: bool

    @property
    def has_nvidia(self) -> bool:
        """Return whether there is one that CUDA could run on, a Jetson's apart."""
        return NVIDIA in self.vendors or bool(self.models or self.cards)


def read_gpus(root: Path = ROOT) -> Gpus:
    """Return the graphics processors of this machine; ``nvidia-smi`` is asked for `ROOT` alone."""
    bus = sorted((root / _BUS).glob("*"))
    numbers = [line_from_file(each / "vendor") or "" for each in bus if _is_display(each)]
    cards = ask_nvidia_smi() if root == ROOT else ()
    driver = _driver(text_from_file(root / "proc/driver/nvidia/version"))
    return Gpus(
        vendors=tuple(_VENDORS.get(number, f"PCI vendor {number}") for number in numbers),
        models=tuple(_models(root)),
        cards=cards,
        driver=driver or next((card.driver for card in cards if card.driver), None),
        has_device_files=any((root / "dev").glob("nvidia[0-9]*"))
        or any((root / "dev").glob("nvhost-*gpu"))
        or (root / "dev/dxg").exists(),  # of Windows (WSL)
        has_bus=bool(bus),
    )


def ask_nvidia_smi() -> tuple[SmiGpu, ...]:
    """Return what ``nvidia-smi`` says; nothing if it is absent, fails or hangs."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = f"--query-gpu={','.join(_SMI_FIELDS)}"
    try:
        done = subprocess.run(  # noqa: S603  # a program of the system, with constant arguments
            [program, query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SMI_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return tuple(gpu for gpu in map(_smi_gpu, lines) if gpu is not None)


def cuda_of_driver(driver: str) -> int | None:
    """Return the newest major version of CUDA that a PC's driver runs; None if older than 11."""
    numbers = tuple(int(part) for part in driver.split(".") if part.isdecimal())
    return next((cuda for oldest, cuda in _OLDEST_DRIVERS.items() if numbers >= oldest), None)


def _is_display(device: Path) -> bool:
    """Return whether its class is a display controller of PCI, with a screen or without."""
    return (line_from_file(device / "class") or "").startswith("0x03")


def _models(root: Path) -> list[str]:
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    found = (re.search(r"^Model:\s*(.+)$", text_from_file(file), re.MULTILINE) for file in files)
    return [match[1].strip() for match in found if match]


def _driver(text: str) -> str | None:
    found = _DRIVER.search(text)
    return found[1] if found else None


def _smi_gpu(line: str) -> SmiGpu | None:
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(_SMI_FIELDS):
        return None
    # `N/A`, `[N/A]`, `[Not Supported]` and `[Unknown Error]` are what it does not know.
    known = (None if part == "N/A" or part.startswith("[") else part for part in parts)
    name, capability, memory, driver = known
    if not name:
        return None
    mib = int(memory) if memory and memory.isdecimal() else None
    return SmiGpu(name, capability, None if mib is None else mib * 2**20, driver)
