"""Everything about this machine in words, by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facealign.machine.cpu import Cpu, read_cpu
from facealign.machine.files import ROOT
from facealign.machine.gpu import Gpus, read_gpus
from facealign.machine.jetson import Jetson, read_jetson
from facealign.machine.libraries import cuda_version, library_names, tensorrt_version
from facealign.machine.memory import Memory, free_disk_bytes, read_memory
from facealign.machine.packages import SUPPORTED_PYTHON, Python, installed_versions, read_python
from facealign.machine.power import clocks_text, governors, hottest_zone, power_mode
from facealign.machine.system import System, read_system

__all__ = ["LIBRARIES", "cache_folder", "machine_texts", "size_text"]

LIBRARIES = (
    *("facealign", "numpy", "opencv-python-headless", "opencv-python", "msgspec"),
    *("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "pycuda", "torch", "onnx"),
)
_GIB = 2**30
_TENSORRT_LIBRARIES = ("libnvinfer", "libnvinfer_plugin", "libnvinfer_lean", "libnvonnxparser")
_CUDA_LIBRARIES = ("libcudart", "libnvrtc", "libcuda")
_Row = tuple[str, str | None]


def machine_texts(root: Path = ROOT) -> dict[str, str]:
    """Return what `facealign.machine.machine_facts` does."""
    rows = (
        *_processor(read_cpu(root)),
        *_memory(read_memory(root)),
        *_system(read_system(root)),
        *_python(read_python()),
        *_graphics(read_gpus(root)),
        *_jetson(read_jetson(root)),
        *_libraries(root),
        *_power(root),
    )
    return {name: text for name, text in rows if text}


def size_text(size_bytes: float) -> str:
    """Return such as ``7.4 GiB``, below one ``12 MiB``, below ten of those ``1.5 MiB``."""
    if size_bytes < _GIB:
        mib = size_bytes / 2**20
        return f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.1f} MiB"  # as above
    return f"{size_bytes / _GIB:.1f} GiB"


def cache_folder() -> Path:
    """Return where this user's caches of facealign are or would be."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # raises nothing
    return Path(caches) / "facealign"


def _processor(cpu: Cpu) -> Iterator[_Row]:
    yield "cpu", cpu.model
    yield "cpu flags", " ".join(cpu.flags)
    quota = "" if cpu.quota is None else f", its control group allows {cpu.quota:g}"
    yield "cores", f"{cpu.allowed_cores} of {cpu.core_count}{quota}"


def _memory(memory: Memory) -> Iterator[_Row]:
    parts = (
        (memory.available_bytes, "available"),
        (memory.total_bytes, "in all"),
        (memory.limit_bytes, "allowed by the control group"),
    )
    yield "memory", ", ".join(f"{size_text(size)} {word}" for size, word in parts if size)
    if memory.swap_bytes is not None:
        yield "swap", size_text(memory.swap_bytes) if memory.swap_bytes else "none"
    for name, folder in (("cache", cache_folder()), ("temporary", Path(tempfile.gettempdir()))):
        free = free_disk_bytes(folder)
        yield f"{name} disk", None if free is None else f"{size_text(free)} free at {folder}"


def _system(system: System) -> Iterator[_Row]:
    yield "os", system.name
    yield "kernel", f"{system.kernel} {system.architecture}"
    yield "libc", system.libc
    yield "container", system.container


def _python(python: Python) -> Iterator[_Row]:
    oldest, too_new = (".".join(map(str, each)) for each in SUPPORTED_PYTHON)
    wrong = f", not supported: facealign is for {oldest} to below {too_new}"
    wrong = "" if python.is_supported else wrong
    kind = f", virtual environment {python.prefix}" if python.is_virtual else ""
    system = " with packages of the system" if python.is_virtual and python.sees_system else ""
    yield "python", ".".join(map(str, python.version)) + wrong + kind + system
    versions = installed_versions(LIBRARIES)
    yield "packages", ", ".join(f"{name} {version}" for name, version in versions.items())


def _graphics(gpus: Gpus) -> Iterator[_Row]:
    named = [
        ", ".join(
            text
            for text in (
                gpu.name,
                gpu.compute_capability and f"compute capability {gpu.compute_capability}",
                gpu.memory_bytes and size_text(gpu.memory_bytes),
            )
            if text
        )
        for gpu in gpus.cards
    ]
    yield "gpu", "; ".join(named or gpus.models or gpus.vendors)
    yield "driver", gpus.driver


def _jetson(jetson: Jetson | None) -> Iterator[_Row]:
    if jetson is None:
        return
    yield "board", jetson.board
    yield "l4t", f"{jetson.l4t}, from {jetson.l4t_from}" if jetson.l4t else "unknown"
    if jetson.jetpack is None:
        yield "jetpack", "unknown: this release of L4T is not in the table of this facealign"
    else:
        preview = " developer preview" if jetson.jetpack.is_preview else ""
        yield "jetpack", f"{jetson.jetpack.version}{preview} ({jetson.jetpack.source})"
    yield "tensorrt", jetson.tensorrt


def _libraries(root: Path) -> Iterator[_Row]:
    yield "cuda", cuda_version(root)
    yield "cuda libraries", " ".join(library_names(_CUDA_LIBRARIES, root))
    yield "tensorrt", tensorrt_version(root)
    yield "tensorrt libraries", " ".join(library_names(_TENSORRT_LIBRARIES, root))


def _power(root: Path) -> Iterator[_Row]:
    yield "power mode", power_mode(root)
    yield "governor", " ".join(governors(root))
    yield "clocks", clocks_text(root)
    zone = hottest_zone(root)
    yield "temperature", f"{zone[1]:.1f} degrees Celsius ({zone[0]})" if zone else None
