"""Give TensorRT the plugins of ours, for building and for running plans that hold them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from facealign.errors import BackendError, IntegrityError, TargetError
from facealign.runtime.tensorrt.device import Device, DeviceInfo
from facealign.runtime.tensorrt.kernels import compiled_kernels
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc
from facealign.runtime.tensorrt.library import tensorrt_version
from facealign.runtime.tensorrt.plugins.launch import PatchCropKernel, kernel_source
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import (
    CONTRACT,
    NAME,
    NAMESPACE,
    patch_crop_creator,
)

__all__ = ["PATCH_CROP", "RegisteredPlugins", "patch_crop_ptx", "register_plugins"]

PATCH_CROP = f"{NAMESPACE}::{NAME}/{CONTRACT}"
"""What the sidecar of a plan says of the plugin: its name, and the contract of its kernel."""

_FIRST = (10, 3)  # TensorRT; of 10.0 to 10.2 nobody looked at the bindings


class RegisteredPlugins:
    """The plugins that a build or a plan needs, in TensorRT's registry until `close`.

    The registry is the process's: builds and plans share one creator in it, and each has a kernel
    on its own device, which the plugins have that are made in its `making`.

    Attributes:
        made: What was made so far, as in `PATCH_CROP`.
    """

    def __init__(
        self, trt: ModuleType | None = None, kernel: PatchCropKernel | None = None
    ) -> None:
        self.made: set[str] = set()
        self._trt = trt
        self._kernel = kernel

    @contextmanager
    def making(self) -> Iterator[None]:
        """Give the plugins that TensorRT makes in this thread the kernel of this."""
        before = getattr(_thread, "plugins", None)
        _thread.plugins = self
        try:
            yield
        finally:
            _thread.plugins = before

    def open_kernel(self) -> PatchCropKernel:
        """Return the kernel, and note that a plugin was made.

        Raises:
            BackendError: If no plugin was registered here.
        """
        if self._kernel is None:
            raise BackendError(_NOT_HERE)
        self.made.add(PATCH_CROP)
        return self._kernel

    def close(self) -> None:
        """Leave the registry; no plan that holds the plugin may be in use. Twice does nothing."""
        trt, self._trt, self._kernel = self._trt, None, None
        if trt is not None:
            _leave(trt, self)


def register_plugins(
    trt: ModuleType, names: Sequence[str], device: Device, *, nvrtc: str | None = None
) -> RegisteredPlugins:
    """Register the plugins of ours that a build or a plan needs. Not run on a GPU.

    Args:
        trt: The module `tensorrt`.
        names: As in `PATCH_CROP`; without any, nothing is asked of TensorRT.
        device: Stays open until what this returns is closed.
        nvrtc: Path of NVRTC; the best that is installed if None.

    Raises:
        IntegrityError: If there is no such plugin.
        TargetError: If this TensorRT takes none of ours.
        MissingLibraryError: If nothing compiles the kernel.
        BackendError: If it does not compile or load, or TensorRT has another plugin of that name.
    """
    unknown = [name for name in names if name != PATCH_CROP]
    if unknown:
        raise IntegrityError(
            f"the plan needs the plugin `{unknown[0]}`, and this facealign has `{PATCH_CROP}`; run "
            "`facealign build` again"
        )
    if not names:
        return RegisteredPlugins()
    version = tensorrt_version(trt)
    if tuple(map(int, version.split(".")[:2])) < _FIRST:
        raise TargetError(
            f"the plugin `{NAMESPACE}::{NAME}` is for TensorRT 10.3 and later, and this is "
            f"{version}; export the checkpoint with `--patch-crop standard`"
        )
    # Compiled and loaded at once: what a plugin raises later, TensorRT's bindings only print.
    image = compiled_kernels(kernel_source(), device.info, library=nvrtc)
    plugins = RegisteredPlugins(trt, PatchCropKernel(device, image))
    _enter(trt, plugins)
    return plugins


def patch_crop_ptx(info: DeviceInfo, *, nvrtc: str | None = None) -> bytes:
    """Return the kernels as PTX, which `define_patch_crop` puts into plans.

    Args:
        info: Of the device; the PTX is for it and for newer ones.
        nvrtc: As `register_plugins` has it.

    Raises:
        MissingLibraryError: If there is no NVRTC.
        BackendError: If it does not compile.
    """
    compiler = _PtxCompiler(nvrtc, cuda_major=info.driver_version[0])
    return compiler.compile(kernel_source(), compute_capability=info.compute_capability)


_NOT_HERE = f"TensorRT makes a `{NAMESPACE}::{NAME}` that no plan of ours asked for; close it"
_thread = threading.local()
_lock = threading.Lock()
# By TensorRT: the creator, of which TensorRT keeps only the address, and who needs it.
_creators: dict[ModuleType, tuple[object, list[RegisteredPlugins]]] = {}


def _plugins_of_thread(trt: ModuleType) -> RegisteredPlugins:
    """Return whose plugins TensorRT makes now.

    In a thread of its own, which TensorRT has if told so, they are those of the only user.

    Raises:
        BackendError: If there are several.
    """
    plugins: RegisteredPlugins | None = getattr(_thread, "plugins", None)
    with _lock:
        _, users = _creators[trt]
        if plugins is None and len(users) == 1:
            return users[0]
    if plugins is None:
        raise BackendError(_NOT_HERE)
    return plugins


def _enter(trt: ModuleType, plugins: RegisteredPlugins) -> None:
    """Register the creator, if nobody needed it before.

    Raises:
        BackendError: If TensorRT has one of that name that is not ours.
    """
    with _lock:
        creator, users = _creators.get(trt, (None, []))
        if creator is None:
            creator = patch_crop_creator(trt, lambda: _plugins_of_thread(trt).open_kernel())
            if not trt.get_plugin_registry().register_creator(creator, NAMESPACE):
                raise BackendError(
                    f"TensorRT does not take the plugin `{NAMESPACE}::{NAME}`: it has another one "
                    "already; close that before"
                )
        _creators[trt] = (creator, [*users, plugins])


def _leave(trt: ModuleType, plugins: RegisteredPlugins) -> None:
    """Deregister the creator, if nobody needs it any more."""
    with _lock:
        creator, users = _creators.pop(trt)
        others = [user for user in users if user is not plugins]
        if others:
            _creators[trt] = (creator, others)
        else:
            trt.get_plugin_registry().deregister_creator(creator)


class _PtxCompiler(Nvrtc):
    """NVRTC that leaves the last step to the driver."""

    def _architecture(self, compute_capability: tuple[int, int]) -> str:
        return super()._architecture(compute_capability).replace("sm_", "compute_")
