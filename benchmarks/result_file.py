"""What every result in ``benchmarks/results/`` holds: the one place that says it.

A result is one run of one script: which question it answers, on which machine, commit and date,
with which settings, and the figures, whose form the script's docstring gives. README's tables are
made of them by `readme_tables.py`.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

__all__ = [
    "RESULTS",
    "Result",
    "Where",
    "provenance",
    "read_result",
    "result_of",
    "write_result",
]

RESULTS = Path(__file__).parent / "results"
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "opencv-python-headless", "openvino", "torch")
# Of the CPU, on which the choice of kernels hangs.
_INSTRUCTIONS = (
    "avx2",
    "avx512f",
    "avx_vnni",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
)


class Where(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and the program of a run.

    Attributes:
        commit: Of the working tree; ``-dirty`` behind it if files were changed.
        processor: As the kernel names it.
        instructions: Of those that kernels are chosen by, what it has; empty if not recorded.
        cores: That the operating system shows.
        load_before: Processes that wanted a core, mean of a minute, before the run, if known.
        threads: Of inference.
        python: Version.
        libraries: Versions by name of the distribution.
        note: What else a reader must know.
    """

    commit: str
    processor: str
    cores: int
    load_before: float | None
    threads: int
    python: str
    libraries: dict[str, str]
    instructions: tuple[str, ...] = ()
    note: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of one script.

    Attributes:
        question: What it answers, the first line of the script's docstring.
        date: When it ran, UTC, ``YYYY-MM-DD`` or with the time.
        where: On what. A script that measures one row at a time repeats it in each.
        settings: Of the run, by name.
        figures: What was measured.
    """

    question: str
    date: str
    where: Where
    settings: dict[str, Any]
    figures: dict[str, Any]


def result_of(
    docstring: str | None, where: Where, *, settings: Mapping[str, Any], figures: Mapping[str, Any]
) -> Result:
    """Return the result of a run that ends now.

    Args:
        docstring: Of the script.
        where: Of `provenance`, from before the run.
        settings: By name.
        figures: As the script's docstring describes them.
    """
    return Result(
        question=(docstring or "").partition("\n")[0],
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        where=where,
        settings=dict(settings),
        figures=dict(figures),
    )


def write_result(name: str, result: Result, *, folder: Path = RESULTS) -> Path:
    """Write a result and return its file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def read_result(name: str, *, folder: Path = RESULTS) -> Result:
    """Return a result.

    Raises:
        FileNotFoundError: If it was not measured yet.
        msgspec.ValidationError: If it is not of this schema.
    """
    return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Result)


def provenance(*, threads: int) -> Where:
    """Return where and with what a benchmark runs, to be asked before it does."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],  # noqa: S607  # git is on PATH where it is used
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    facts = _cpu_facts()
    flags = set(facts.get("flags", "").split())
    return Where(
        commit=commit.stdout.strip() or "unknown",
        processor=_processor(facts),
        instructions=tuple(name for name in _INSTRUCTIONS if name in flags),
        cores=os.cpu_count() or 0,
        load_before=round(os.getloadavg()[0], 2),
        threads=threads,
        python=platform.python_version(),
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
    )


def _cpu_facts() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in facts.items()}


def _processor(facts: Mapping[str, str]) -> str:
    return f"{facts.get('model name', platform.processor())} model {facts.get('model', '?')}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
