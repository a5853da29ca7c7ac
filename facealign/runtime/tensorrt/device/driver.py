"""The CUDA driver's functions by ctypes; no CUDA runtime, no package.

Names are as ``cuda.h`` of CUDA 11.4 maps them, and every driver up to 13 still has them.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p

from facealign.errors import BackendError

__all__ = ["Driver", "default_library"]

_OUT_HANDLE, _OUT_ADDRESS, _OUT_INT = POINTER(c_void_p), POINTER(c_uint64), POINTER(c_int)

# Source: cuda.h of CUDA 13.0, compared with the names of 11.4. `cuGraphInstantiate` itself changed
# its arguments in 12.0, and `cuEventElapsedTime_v2` came with 12.8; neither is used.
_ARGUMENTS: dict[str, tuple[type, ...]] = {
    "cuCtxPopCurrent_v2": (_OUT_HANDLE,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuDeviceGet": (_OUT_INT, c_int),
    "cuDeviceGetAttribute": (_OUT_INT, c_int, c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuDevicePrimaryCtxRetain": (_OUT_HANDLE, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDriverGetVersion": (_OUT_INT,),
    "cuEventCreate": (_OUT_HANDLE, c_uint),
    "cuEventDestroy_v2": (c_void_p,),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphExecDestroy": (c_void_p,),
    "cuGraphInstantiateWithFlags": (_OUT_HANDLE, c_void_p, c_uint64),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuInit": (c_uint,),
    "cuLaunchKernel": (
        c_void_p,
        *(c_uint,) * 7,
        c_void_p,
        POINTER(c_void_p),
        POINTER(c_void_p),
    ),
    "cuMemAlloc_v2": (_OUT_ADDRESS, c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemFreeHost": (c_void_p,),
    "cuMemHostAlloc": (_OUT_HANDLE, c_size_t, c_uint),
    "cuMemHostGetDevicePointer_v2": (_OUT_ADDRESS, c_void_p, c_uint),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuModuleGetFunction": (_OUT_HANDLE, c_void_p, c_char_p),
    "cuModuleLoadData": (_OUT_HANDLE, c_char_p),
    "cuModuleUnload": (c_void_p,),
    "cuStreamBeginCapture_v2": (c_void_p, c_int),
    "cuStreamCreate": (_OUT_HANDLE, c_uint),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuStreamEndCapture": (c_void_p, _OUT_HANDLE),
    "cuStreamSynchronize": (c_void_p,),
}

_HELP = {
    2: "; close other programs that use the device, or take a smaller batch",
    3: "; the process was forked after CUDA was used: start it by `spawn`",
    4: "; the process is ending: close the device before",
    100: "; check that the driver runs, by `nvidia-smi` or on a Jetson `tegrastats`",
    101: "; count the devices by `nvidia-smi -L`",
    209: "; compile the kernels for this device's compute capability",
    222: "; the PTX is newer than the driver: update the driver or use an older NVRTC",
    700: "; the context is lost: start the process again",
    719: "; the context is lost: start the process again",
    803: "; restart the machine: the driver was updated under a running one",
    804: "; the driver is too old for this CUDA: update it",
}


def default_library() -> str:
    """Return the name under which the system's loader finds the driver."""
    return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class Driver:
    """The functions of one driver library.

    Args:
        library: Its path; the system's own if None.

    Raises:
        BackendError: If there is none, or one that is too old.
    """

    def __init__(self, library: str | None = None) -> None:
        self.library = default_library() if library is None else library
        try:
            loaded = ctypes.CDLL(self.library)
        except OSError as error:
            raise BackendError(
                f"CUDA's driver `{self.library}` cannot be loaded ({error}); install NVIDIA's "
                "driver (a Jetson has it from JetPack), and start a container with "
                "`--gpus all` or `--runtime nvidia`"
            ) from error
        self._functions = {name: self._function(loaded, name) for name in _ARGUMENTS}

    def call(self, name: str, *arguments: object) -> None:
        """Call a function.

        Raises:
            BackendError: If it answers with an error: its name, and CUDA's words.
        """
        status = self._functions[name](*arguments)
        if status:
            raise BackendError(f"`{name}` failed: {self._words(status)}{_HELP.get(status, '')}")

    def made(self, name: str, *arguments: object) -> int:
        """Return the handle that a function writes to its first argument."""
        handle = c_void_p()
        self.call(name, byref(handle), *arguments)
        return handle.value or 0

    def number(self, name: str, *arguments: object) -> int:
        """Return the int that a function writes to its first argument."""
        value = c_int()
        self.call(name, byref(value), *arguments)
        return value.value

    def address(self, name: str, *arguments: object) -> int:
        """Return the address of the device that a function writes to its first argument."""
        address = c_uint64()
        self.call(name, byref(address), *arguments)
        return address.value

    def _function(self, loaded: ctypes.CDLL, name: str) -> Callable[..., int]:
        try:
            function = getattr(loaded, name)
        except AttributeError as error:
            raise BackendError(
                f"`{self.library}` has no `{name}`; update NVIDIA's driver to one of CUDA 11.4 "
                "or newer"
            ) from error
        function.argtypes = _ARGUMENTS[name]
        function.restype = c_int
        return function  # type: ignore[no-any-return]  # ctypes cannot say what it gives

    def _words(self, status: int) -> str:
        """Return such as ``CUDA_ERROR_OUT_OF_MEMORY (out of memory)``."""
        name, text = c_char_p(), c_char_p()
        self._functions["cuGetErrorName"](status, byref(name))
        self._functions["cuGetErrorString"](status, byref(text))
        if name.value is None or text.value is None:
            return f"error {status}"
        return f"{name.value.decode()} ({text.value.decode()})"
