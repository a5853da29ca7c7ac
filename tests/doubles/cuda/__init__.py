"""Doubles of libcuda and libnvrtc, in C++, built here when a test asks; neither is NVIDIA's.

`build_double` and `build_nvrtc_double` give the libraries to pass where the code takes a path;
`Double` and `NvrtcDouble` watch and disturb them. What they do is told at the top of their sources.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

__all__ = ["COMPILER", "KINDS", "Callback", "Double", "NvrtcDouble", "build", "build_double"]
__all__ += ["build_nvrtc_double"]

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")  # without it, a test that needs a double must skip
KINDS = (
    "context",
    "stream",
    "event",
    "module",
    "graph",
    "graph_exec",
    "device_memory",
    "host_memory",
)
Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_UNKNOWN = 999


def build_double() -> Path:
    """Return the libcuda double; built once per state of its source."""
    return build("libcuda_double.so", HERE / "libcuda_double.cpp", "-ldl", "-lpthread")


def build_nvrtc_double() -> Path:
    """Return the libnvrtc double; it runs g++ itself when it compiles a kernel."""
    shim = HERE / "kernel_shim.h"
    return build("libnvrtc_double.so", HERE / "nvrtc_double.cpp", f'-DSHIM="{shim}"')


@cache
def build(name: str, source: Path, *options: str) -> Path:
    """Return the library `name`, built from a C++ source into a folder that only this user has."""
    digest = hashlib.sha256(f"{options}".encode() + source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"facealign-doubles-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"`{folder}` belongs to someone else")
    target = folder / digest / name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}")
        command = [COMPILER or "g++", "-std=c++17", "-O1", "-g", "-shared", "-fPIC"]
        command += ["-o", str(unfinished), str(source), *options]
        subprocess.run(command, check=True)
        unfinished.replace(target)  # in one step: another worker may build it, too
    return target


class Double:
    """The libcuda double of this process.

    Args:
        path: Of the library; whoever opens the same path talks to the same double.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = build_double() if path is None else path
        self._library = ctypes.CDLL(str(self.path))
        for name in ("calls", "live", "counter"):
            getattr(self._library, f"double_{name}").restype = ctypes.c_long
        self._library.double_pending.restype = ctypes.c_long
        self._library.double_pending.argtypes = (ctypes.c_void_p,)
        self._library.double_all_calls.restype = ctypes.c_size_t
        self._library.double_all_calls.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
        self._library.double_enqueue.argtypes = (ctypes.c_void_p, Callback, ctypes.c_void_p)
        self._library.double_fail_at.argtypes = (ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
        self._library.double_set.argtypes = (ctypes.c_char_p, ctypes.c_long)
        self._library.double_on_device.argtypes = (ctypes.c_uint64, ctypes.c_size_t)
        self._kept: list[object] = []

    def reset(self) -> None:
        """Forget all objects, counters, settings and failures to come."""
        self._library.double_reset()
        self._kept.clear()

    def live(self, kind: str | None = None) -> int:
        """Return how many objects of a kind of `KINDS` are alive; of all kinds if None."""
        if kind is None:
            return sum(self.live(one) for one in KINDS)
        count = int(self._library.double_live(kind.encode()))
        if count < 0:
            raise KeyError(kind)
        return count

    def counter(self, name: str) -> int:
        """Return a counter since the last reset.

        Args:
            name: ``allocations`` of both kinds of memory, ``live_bytes``, ``peak_bytes``,
                ``orphans`` that were alive when their context went, ``pageable_copies``,
                ``blocking_streams`` that wait for the default one, ``unportable`` memory that is
                pinned for one context only, or ``current_contexts`` on the stack of this thread.
        """
        count = int(self._library.double_counter(name.encode()))
        if count < 0:
            raise KeyError(name)
        return count

    def is_current(self) -> bool:
        """Return whether a context is current in this thread."""
        handle = ctypes.c_void_p()
        return self._library.cuCtxGetCurrent(ctypes.byref(handle)) == 0 and bool(handle.value)

    def calls(self) -> dict[str, int]:
        """Return how often each function was called since the last reset."""
        size = self._library.double_all_calls(None, 0)
        text = ctypes.create_string_buffer(size)
        self._library.double_all_calls(text, size)
        pairs = (line.split() for line in text.value.decode().splitlines())
        return {name: int(count) for name, count in pairs}

    def fail_at(self, function: str, nth: int = 1, error: int = _UNKNOWN) -> None:
        """Let the n-th call from now of a function answer with `error` and do nothing.

        What destroys an object does that all the same, and `cuStreamEndCapture` ends the capture.
        ``double_enqueue`` is a function like any other.
        """
        self._library.double_fail_at(function.encode(), nth, error)

    def set(self, key: str, value: int) -> None:
        """Change what the device is.

        Args:
            key: ``device_count``, ``major``, ``minor``, ``integrated``, ``driver_version`` (12060
                for 12.6), ``memory_mib``.
            value: It.
        """
        self._library.double_set(key.encode(), value)

    def pending(self, stream: int) -> int:
        """Return how many pieces of work of a stream have not run yet."""
        return int(self._library.double_pending(stream))

    def on_device(self, address: int, size: int) -> bool:
        """Return whether so many bytes at an address are inside one allocation of the device."""
        return bool(self._library.double_on_device(address, size))

    def enqueue(self, stream: int, work: Callable[[], int | None]) -> int:
        """Queue `work` on a stream, as a kernel: captured, replayed, run when someone waits.

        What it returns, if it is neither None nor 0, is the stream's error from then on; so is 719
        if it raises. The stream's context must be current, as for all that TensorRT does.

        Returns CUDA's answer, 0 if all is well.
        """

        def run(_: object) -> int:
            try:
                return work() or 0
            except Exception:  # noqa: BLE001  # C cannot take it
                return 719

        callback = Callback(run)
        self._kept.append(callback)  # a graph may call it as long as it lives
        return int(self._library.double_enqueue(stream, callback, None))


class NvrtcDouble:
    """The libnvrtc double of this process."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = build_nvrtc_double() if path is None else path
        self._library = ctypes.CDLL(str(self.path))
        self._library.double_nvrtc_calls.restype = ctypes.c_long
        self._library.double_nvrtc_live.restype = ctypes.c_long
        self._library.double_nvrtc_options.restype = ctypes.c_char_p
        self._library.double_nvrtc_fail_at.argtypes = (
            ctypes.c_char_p,
            ctypes.c_long,
            ctypes.c_int,
        )

    def reset(self) -> None:
        """Forget counters and failures to come."""
        self._library.double_nvrtc_reset()

    def folder(self, path: Path) -> None:
        """Say where compiled kernels go."""
        self._library.double_nvrtc_folder(str(path).encode())

    def version(self, major: int, minor: int) -> None:
        """Say what it calls itself."""
        self._library.double_nvrtc_version(major, minor)

    def live(self) -> int:
        """Return how many programs are alive."""
        return int(self._library.double_nvrtc_live())

    def calls(self, function: str) -> int:
        """Return how often a function was called since the last reset."""
        return int(self._library.double_nvrtc_calls(function.encode()))

    def options(self) -> list[str]:
        """Return what the last program was compiled with."""
        return str(self._library.double_nvrtc_options().decode()).split()

    def fail_at(self, function: str, nth: int = 1, error: int = 11) -> None:
        """Let the n-th call from now of a function answer with `error`."""
        self._library.double_nvrtc_fail_at(function.encode(), nth, error)
