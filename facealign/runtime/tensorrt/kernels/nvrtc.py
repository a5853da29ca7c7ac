"""NVRTC by ctypes: CUDA C in, an image for one device out; on the device itself, without nvcc."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path

from facealign.errors import BackendError, MissingLibraryError, first_of

__all__ = ["Nvrtc", "library_candidates"]

_OUT_SIZE, _OUT_INT = POINTER(c_size_t), POINTER(c_int)
_STRINGS = POINTER(c_char_p)
# Source: nvrtc.h; all of them are in every release from 11.2 on.
_ARGUMENTS: dict[str, tuple[type, ...]] = {
    "nvrtcCompileProgram": (c_void_p, c_int, _STRINGS),
    "nvrtcCreateProgram": (POINTER(c_void_p), c_char_p, c_char_p, c_int, _STRINGS, _STRINGS),
    "nvrtcDestroyProgram": (POINTER(c_void_p),),
    "nvrtcGetCUBIN": (c_void_p, c_char_p),
    "nvrtcGetCUBINSize": (c_void_p, _OUT_SIZE),
    "nvrtcGetNumSupportedArchs": (_OUT_INT,),
    "nvrtcGetPTX": (c_void_p, c_char_p),
    "nvrtcGetPTXSize": (c_void_p, _OUT_SIZE),
    "nvrtcGetProgramLog": (c_void_p, c_char_p),
    "nvrtcGetProgramLogSize": (c_void_p, _OUT_SIZE),
    "nvrtcGetSupportedArchs": (_OUT_INT,),
    "nvrtcVersion": (_OUT_INT, _OUT_INT),
}
# Newest first. Those of 11.2 to 11.8 share one name.
_NAMES = {13: "libnvrtc.so.13", 12: "libnvrtc.so.12", 11: "libnvrtc.so.11.2"}
_WINDOWS_NAMES = {13: "nvrtc64_130_0.dll", 12: "nvrtc64_120_0.dll", 11: "nvrtc64_112_0.dll"}


class Nvrtc:
    """One NVRTC library.

    Args:
        library: Its path; if None, the first that loads of `library_candidates`.
        cuda_major: Of the driver, such as 12; an image of a newer one may not load.

    Raises:
        MissingLibraryError: If there is none.
        BackendError: If it is older than that of CUDA 11.2.

    Attributes:
        version: Such as ``(12, 6)``.
    """

    def __init__(self, library: str | None = None, *, cuda_major: int | None = None) -> None:
        candidates = library_candidates(cuda_major) if library is None else [library]
        self.library, loaded = _loaded(candidates)
        self._functions = {name: self._function(loaded, name) for name in _ARGUMENTS}
        self._words = loaded.nvrtcGetErrorString
        self._words.argtypes, self._words.restype = (c_int,), c_char_p
        major, minor = c_int(), c_int()
        self._call("nvrtcVersion", byref(major), byref(minor))
        self.version = (major.value, minor.value)
        self._builtins = _loaded_builtins(self.library, self.version)

    def compile(self, source: str, *, compute_capability: tuple[int, int]) -> bytes:
        """Return an image for a device.

        It is a CUBIN, or PTX that the driver finishes if the device is newer than this NVRTC.

        Args:
            source: CUDA C, with its kernels `extern "C"`.
            compute_capability: Of the device, such as ``(8, 7)``.

        Raises:
            BackendError: If it does not compile, with the first error of the log and all of it in
                `items`; or if the device is older than this NVRTC takes.
        """
        architecture = self._architecture(compute_capability)
        flags = [f"--gpu-architecture={architecture}", "--std=c++17"]
        kind = "CUBIN" if architecture.startswith("sm_") else "PTX"
        with self._program(source) as program:
            encoded = (c_char_p * len(flags))(*(flag.encode() for flag in flags))
            status = self._functions["nvrtcCompileProgram"](program, len(flags), encoded)
            if status:
                log = self._text(program, "ProgramLog").decode(errors="replace").splitlines()
                raise BackendError(self._failure("nvrtcCompileProgram", status, log), items=log)
            return self._text(program, kind)

    def _architecture(self, compute_capability: tuple[int, int]) -> str:
        count = c_int()
        self._call("nvrtcGetNumSupportedArchs", byref(count))
        known = (c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", known)
        wanted = 10 * compute_capability[0] + compute_capability[1]
        if wanted in known:
            return f"sm_{wanted}"
        older = [number for number in known if number < wanted]
        if not older:
            raise BackendError(
                f"`{self.library}` makes nothing for compute capability "
                f"{compute_capability[0]}.{compute_capability[1]}, which is older than its oldest "
                f"{min(known, default=0) / 10}; install the NVRTC of an older CUDA"
            )
        return f"compute_{max(older)}"

    @contextmanager
    def _program(self, source: str) -> Iterator[c_void_p]:
        program = c_void_p()
        self._call(
            "nvrtcCreateProgram", byref(program), source.encode(), b"kernels.cu", 0, None, None
        )
        try:
            yield program
        finally:
            self._call("nvrtcDestroyProgram", byref(program))

    def _text(self, program: c_void_p, what: str) -> bytes:
        size = c_size_t()
        self._call(f"nvrtcGet{what}Size", program, byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, text)
        return text.raw.rstrip(b"\0") if what != "CUBIN" else text.raw

    def _call(self, name: str, *arguments: object) -> None:
        status = self._functions[name](*arguments)
        if status:
            raise BackendError(self._failure(name, status, ()))

    def _failure(self, name: str, status: int, log: Sequence[str]) -> str:
        words = (self._words(status) or b"unknown error").decode()
        first = next((line for line in log if "error" in line), "" if not log else log[0])
        return f"`{name}` failed: {words}" + (f": {first.strip()}" if first else "")

    def _function(self, loaded: ctypes.CDLL, name: str) -> Callable[..., int]:
        try:
            function = getattr(loaded, name)
        except AttributeError as error:
            raise BackendError(
                f"`{self.library}` has no `{name}`; install NVRTC of CUDA 11.2 or newer"
            ) from error
        function.argtypes = _ARGUMENTS[name]
        function.restype = c_int
        return function  # type: ignore[no-any-return]  # ctypes cannot say what it gives


def library_candidates(cuda_major: int | None = None) -> list[str]:
    """Return where NVRTC may be, the best first: names for the system's loader, and paths.

    Those of the driver's own major version come first, then older ones, then newer ones.
    """
    names = _WINDOWS_NAMES if sys.platform == "win32" else _NAMES
    newest = max(names) if cuda_major is None else cuda_major
    majors = sorted(names, key=lambda major: (major > newest, -major))
    folders = _folders()
    found = []
    for major in majors:
        found.append(names[major])
        found += [str(folder / names[major]) for folder in folders]
    return found


def _folders() -> list[Path]:
    """Return where CUDA's own installer and NVIDIA's wheels put it."""
    roots = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [Path(root) / part for root in roots if root for part in ("lib64", "bin")]
    if sys.platform != "win32":
        folders.append(Path("/usr/local/cuda/lib64"))
    wheels = importlib.util.find_spec("nvidia")
    for place in (wheels.submodule_search_locations or ()) if wheels else ():
        for package in ("cu13", "cuda_nvrtc"):
            folders += [Path(place) / package / part for part in ("lib", "bin")]
    return folders


def _loaded(candidates: Sequence[str]) -> tuple[str, ctypes.CDLL]:
    for candidate in candidates:
        with suppress(OSError):
            return candidate, ctypes.CDLL(candidate)
    raise MissingLibraryError(
        f"NVRTC, which compiles kernels, cannot be loaded as {first_of(candidates)}; install "
        "CUDA's package `cuda-nvrtc-<version>`, or the wheel `nvidia-cuda-nvrtc` of the driver's "
        "CUDA"
    )


def _loaded_builtins(library: str, version: tuple[int, int]) -> ctypes.CDLL | None:
    """Load what NVRTC loads by name when it compiles; that of 13.0 does not look beside itself."""
    beside = Path(library).with_name(f"libnvrtc-builtins.so.{version[0]}.{version[1]}")
    return ctypes.CDLL(str(beside)) if beside.is_file() else None
