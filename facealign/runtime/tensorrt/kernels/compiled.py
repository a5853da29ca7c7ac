"""From the source of a kernel to an image for one device, compiled once."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from facealign.errors import MissingLibraryError
from facealign.runtime.tensorrt.device import DeviceInfo
from facealign.runtime.tensorrt.kernels.nvcc import compile_by_nvcc, find_nvcc
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc

__all__ = ["compiled_kernels", "kernel_source"]

logger = logging.getLogger(__name__)

_DIGEST_SIZE = 32  # SHA-256; it stands before the image in a cached file
_images: dict[str, bytes] = {}


def kernel_source(name: str) -> str:
    """Return a source of this package, such as ``crop.cu``."""
    return (resources.files(__package__ or "") / name).read_text(encoding="utf-8")


def compiled_kernels(
    source: str,
    info: DeviceInfo,
    *,
    options: Sequence[str] = (),
    library: str | None = None,
    cache_folder: Path | None = None,
) -> bytes:
    """Return the image of a source for a device, as `Device.kernel` takes it.

    NVRTC compiles it; where there is none, nvcc does, which is said in the log. The process keeps
    it, and so does `cache_folder`, by source, options, architecture and version of the compiler.

    Args:
        source: CUDA C, with its kernels `extern "C"`.
        info: Of the device.
        options: More of nvcc's, such as ``-DSIDE=8``.
        library: Path of NVRTC, then nvcc is not asked; the best that is installed if None.
        cache_folder: The user's own; it is made if it is not there. None keeps nothing on disk.

    Raises:
        MissingLibraryError: If there is neither NVRTC nor nvcc.
        BackendError: If it does not compile.
    """
    compiler, compile_source = _compiler(library, info.driver_version[0])
    major, minor = info.compute_capability
    parts = (source, *options, f"sm_{major}{minor}", compiler)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    image = _images.get(key) or _read(cache_folder, key)
    if image is None:
        image = compile_source(source, info.compute_capability, options)
        _write(cache_folder, key, image)
    _images[key] = image
    return image


_Compile = Callable[[str, tuple[int, int], Sequence[str]], bytes]


def _compiler(library: str | None, cuda_major: int) -> tuple[str, _Compile]:
    """Return the name and version of a compiler, and the function."""
    try:
        nvrtc = _nvrtc(library, cuda_major)
    except MissingLibraryError as error:
        nvcc = find_nvcc()
        if library is not None or nvcc is None:
            raise
        logger.info("compiling by `%s`: %s", nvcc, error)
        stamp = Path(nvcc).stat()
        return (
            f"{nvcc} {stamp.st_size} {stamp.st_mtime_ns}",
            lambda source, capability, options: compile_by_nvcc(
                nvcc, source, compute_capability=capability, options=options
            ),
        )
    return (
        f"nvrtc {nvrtc.version[0]}.{nvrtc.version[1]}",
        lambda source, capability, options: nvrtc.compile(
            source, compute_capability=capability, options=options
        ),
    )


@cache
def _nvrtc(library: str | None, cuda_major: int) -> Nvrtc:
    return Nvrtc(library, cuda_major=cuda_major)


def _read(folder: Path | None, key: str) -> bytes | None:
    """Return what was kept, if it is there and whole."""
    if folder is None:
        return None
    try:
        content = (folder / f"{key}.image").read_bytes()
    except OSError:
        return None
    digest, image = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    if not image or hashlib.sha256(image).digest() != digest:
        logger.warning("`%s` is broken; compiling its kernels again", folder / f"{key}.image")
        return None
    return image


def _write(folder: Path | None, key: str, image: bytes) -> None:
    """Keep an image; a folder that cannot be written costs time at the next start, no more."""
    if folder is None:
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In one step: another process may read it now.
        with tempfile.TemporaryDirectory(dir=folder) as apart:
            unfinished = Path(apart) / "image"
            unfinished.write_bytes(hashlib.sha256(image).digest() + image)
            unfinished.replace(folder / f"{key}.image")
    except OSError as error:
        logger.warning("kernels cannot be kept in `%s`: %s", folder, error)
