"""From the source of a kernel to an image for one device, compiled once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import resources

from facealign.errors import MissingLibraryError
from facealign.runtime.tensorrt.device import DeviceInfo
from facealign.runtime.tensorrt.kernels.nvcc import compile_by_nvcc, find_nvcc
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc

__all__ = ["compiled_kernels", "kernel_source"]

logger = logging.getLogger(__name__)

_images: dict[tuple[str, tuple[int, int], str], bytes] = {}


def kernel_source(name: str) -> str:
    """Return a source of this package, such as ``crop.cu``."""
    return (resources.files(__package__ or "") / name).read_text(encoding="utf-8")


def compiled_kernels(source: str, info: DeviceInfo, *, library: str | None = None) -> bytes:
    """Return the image of a source for a device, as `Device.kernel` takes it.

    NVRTC compiles it; where there is none, nvcc does, which is said in the log. The process keeps
    it, by source, architecture and version of the compiler.

    Args:
        source: CUDA C, with its kernels `extern "C"`.
        info: Of the device.
        library: Path of NVRTC, then nvcc is not asked; the best that is installed if None.

    Raises:
        MissingLibraryError: If there is neither NVRTC nor nvcc.
        BackendError: If it does not compile.
    """
    compiler, compile_source = _compiler(library, info.driver_version[0])
    key = (source, info.compute_capability, compiler)
    if key not in _images:
        _images[key] = compile_source(source, info.compute_capability)
    return _images[key]


_Compile = Callable[[str, tuple[int, int]], bytes]


def _compiler(library: str | None, cuda_major: int) -> tuple[str, _Compile]:
    """Return what tells a compiler from another, and the function."""
    try:
        nvrtc = _nvrtc(library, cuda_major)
    except MissingLibraryError as error:
        nvcc = find_nvcc()
        if library is not None or nvcc is None:
            raise
        logger.info("compiling by `%s`: %s", nvcc, error)
        return (
            nvcc,
            lambda source, capability: compile_by_nvcc(nvcc, source, compute_capability=capability),
        )
    return (
        f"nvrtc {nvrtc.version[0]}.{nvrtc.version[1]}",
        lambda source, capability: nvrtc.compile(source, compute_capability=capability),
    )


@cache
def _nvrtc(library: str | None, cuda_major: int) -> Nvrtc:
    return Nvrtc(library, cuda_major=cuda_major)
