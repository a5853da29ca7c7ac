"""The processor: what it is, what it can do, and how much of it this process may use."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facealign.machine.cgroup import cpu_quota
from facealign.machine.files import ROOT, text_from_file

__all__ = ["MATTERING_FLAGS", "Cpu", "read_cpu"]

MATTERING_FLAGS = (
    *("avx2", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2"),
)
"""Of all flags, those that decide how fast products of FP32, FP16 and INT8 are."""

# MIDR: implementer and part. Source: Linux, arch/arm64/include/asm/cputype.h.
_ARM_PARTS = {
    (0x41, 0xD03): "Arm Cortex-A53",
    (0x41, 0xD05): "Arm Cortex-A55",
    (0x41, 0xD07): "Arm Cortex-A57",
    (0x41, 0xD08): "Arm Cortex-A72",
    (0x41, 0xD0B): "Arm Cortex-A76",
    (0x41, 0xD0C): "Arm Neoverse N1",
    (0x41, 0xD40): "Arm Neoverse V1",
    (0x41, 0xD42): "Arm Cortex-A78AE",
    (0x41, 0xD49): "Arm Neoverse N2",
    (0x41, 0xD4F): "Arm Neoverse V2",
    (0x41, 0xD83): "Arm Neoverse V3AE",
    (0x4E, 0x003): "NVIDIA Denver 2",
    (0x4E, 0x004): "NVIDIA Carmel",
}


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor.

    Attributes:
        model: Such as ``AMD EPYC 9654``; of unlike cores such as ``4 x Arm Cortex-A55, 4 x Arm
            Cortex-A76``; None if it does not say.
        flags: Those of `MATTERING_FLAGS` that every core has.
        core_count: Logical cores that the system has.
        allowed_cores: Those that this process may run on.
        quota: How many of them its control group may keep busy; None without a limit.
    """

    model: str | None
    flags: tuple[str, ...]
    core_count: int
    allowed_cores: int
    quota: float | None


def read_cpu(root: Path = ROOT) -> Cpu:
    """Return the processor of this machine."""
    text = text_from_file(root / "proc/cpuinfo")
    listed = re.findall(r"^(?:flags|Features)\s*:[ \t]*(.*)$", text, re.MULTILINE)
    flags = set.intersection(*(set(line.split()) for line in dict.fromkeys(listed or [""])))
    count = len(re.findall(r"^processor\s*:", text, re.MULTILINE)) or os.cpu_count() or 1
    return Cpu(
        model=_models(text),
        flags=tuple(flag for flag in MATTERING_FLAGS if flag in flags),
        core_count=count,
        allowed_cores=_allowed(root) or count,
        quota=cpu_quota(root),
    )


def _models(cpuinfo: str) -> str | None:
    """Return the model, or each with its count where big cores and little ones are in one chip."""
    cores = re.split(r"^(?=processor\s*:)", cpuinfo, flags=re.MULTILINE)
    found = Counter(filter(None, map(_model, cores)))
    if len(found) <= 1:
        return next(iter(found), None)
    return ", ".join(f"{count} x {model}" for model, count in found.items())


def _model(cpuinfo: str) -> str | None:
    named = _field(cpuinfo, "model name")
    if named:
        return named
    implementer, part = _field(cpuinfo, "CPU implementer"), _field(cpuinfo, "CPU part")
    if not (_is_hex(implementer) and _is_hex(part)):
        return None
    numbers = (int(str(implementer), 16), int(str(part), 16))
    return _ARM_PARTS.get(numbers, f"Arm, implementer {implementer} part {part}")


def _allowed(root: Path) -> int:
    """Return how many cores this process may run on, from a list such as ``0-3,8``; 0: unknown."""
    cores = _field(text_from_file(root / "proc/self/status"), "Cpus_allowed_list") or ""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", cores):
        return 0
    ends = [part.split("-") for part in cores.split(",")]
    return sum(int(each[-1]) - int(each[0]) + 1 for each in ends)


def _field(text: str, name: str) -> str | None:
    found = re.search(rf"^{name}\s*:[ \t]*(.*)$", text, re.MULTILINE)
    return found[1].strip() or None if found else None


def _is_hex(text: str | None) -> bool:
    return bool(text and re.fullmatch(r"0[xX][0-9a-fA-F]+", text))
