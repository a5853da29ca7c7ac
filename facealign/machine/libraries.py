"""Shared libraries that the system's loader would find, by name; none is loaded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from facealign.machine.files import ROOT, text_from_file

__all__ = ["cuda_version", "library_names", "tensorrt_version"]

_ALWAYS = (
    *("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib"),
    *("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"),
    *("usr/lib/aarch64-linux-gnu/tegra", "usr/lib/aarch64-linux-gnu/nvidia"),
    *("usr/local/cuda/lib64", "usr/local/cuda/targets/aarch64-linux/lib"),
)
_MAX_INCLUDES = 64


def library_names(stems: Iterable[str], root: Path = ROOT) -> tuple[str, ...]:
    """Return names such as ``libnvinfer.so.10.3.0`` of libraries on the loader's path, sorted.

    Args:
        stems: Such as ``libnvinfer``.
        root: Where the system is; of ``LD_LIBRARY_PATH`` only this machine's own is read.
    """
    wanted = set(stems)
    names = {
        file.name
        for folder in _folders(root)
        for file in _files(folder)
        if ".so." in file.name and file.name.partition(".so")[0] in wanted
    }
    return tuple(sorted(names))


def tensorrt_version(root: Path = ROOT) -> str | None:
    """Return the version that the newest ``libnvinfer`` carries in its name, such as ``10.3.0``."""
    return _newest(library_names(("libnvinfer",), root), parts=3)


def cuda_version(root: Path = ROOT) -> str | None:
    """Return the version of CUDA's toolkit, such as ``12.6.11``, or of its runtime library."""
    text = text_from_file(root / "usr/local/cuda/version.json")
    # Not parsed as JSON: a file of which half is there still says it.
    found = re.search(r'"cuda"\s*:\s*\{[^}]*?"version"\s*:\s*"(\d[\d.]*)"', text)
    if found:
        return found[1]
    older = re.search(
        r"CUDA Version (\d[\d.]*)", text_from_file(root / "usr/local/cuda/version.txt")
    )
    return older[1] if older else _newest(library_names(("libcudart",), root), parts=2)


def _newest(names: Iterable[str], *, parts: int) -> str | None:
    """Return the highest version among names that carry at least `parts` numbers."""
    tails = (name.partition(".so.")[2].split(".") for name in names)
    versions = [
        tuple(map(int, tail))
        for tail in tails
        if len(tail) >= parts and all(part.isdecimal() for part in tail)
    ]
    return ".".join(map(str, max(versions))) if versions else None


def _folders(root: Path) -> Iterator[Path]:
    if root == ROOT:
        yield from (Path(each) for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each)
    yield from (root / name for name in _ALWAYS)
    yield from (root / name.lstrip("/") for name in _configured(root))


def _configured(root: Path) -> Iterator[str]:
    """Yield the folders of ``/etc/ld.so.conf``, which includes others by patterns."""
    files, read = [root / "etc/ld.so.conf"], 0
    while files and read < _MAX_INCLUDES:  # a file may include itself
        file, read = files.pop(0), read + 1
        for line in text_from_file(file).splitlines():
            text = line.partition("#")[0].strip()
            if text.startswith("include "):
                pattern = text.removeprefix("include ").strip()
                base = root if pattern.startswith("/") else file.parent
                files += sorted(base.glob(pattern.lstrip("/")))
            elif text.startswith("/"):
                yield text


def _files(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return
