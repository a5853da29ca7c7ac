"""Give TensorRT the plugins of ours, for building and for running plans that hold them."""

from __future__ import annotations

from types import ModuleType

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, DeviceInfo
from facealign.runtime.tensorrt.kernels import compiled_kernels
from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc
from facealign.runtime.tensorrt.plugins.launch import PatchCropKernel, kernel_source
from facealign.runtime.tensorrt.plugins.patch_crop_v3 import NAME, NAMESPACE, patch_crop_creator

__all__ = ["RegisteredPlugin", "patch_crop_ptx", "register_patch_crop"]


class RegisteredPlugin:
    """A creator in TensorRT's registry; `close` takes it out."""

    def __init__(self, trt: ModuleType, creator: object) -> None:
        self._trt = trt
        # TensorRT keeps its address only.
        self._creator: object | None = creator

    def close(self) -> None:
        """Take it out; no plan that holds the plugin may be in use. A second call does nothing."""
        if self._creator is not None:
            self._trt.get_plugin_registry().deregister_creator(self._creator)
            self._creator = None


def register_patch_crop(
    trt: ModuleType, device: Device, *, nvrtc: str | None = None
) -> RegisteredPlugin:
    """Register the patch crop, for plans on a device. Not run on a GPU.

    Args:
        trt: The module `tensorrt`, 10.3 or later.
        device: Stays open until what this returns is closed.
        nvrtc: Path of NVRTC; the best that is installed if None.

    Raises:
        MissingLibraryError: If nothing compiles the kernel.
        BackendError: If it does not compile, or TensorRT has such a plugin already.
    """
    image = compiled_kernels(kernel_source(), device.info, library=nvrtc)
    creator = patch_crop_creator(trt, lambda: PatchCropKernel(device, image))
    if not trt.get_plugin_registry().register_creator(creator, NAMESPACE):
        raise BackendError(
            f"TensorRT does not take the plugin `{NAMESPACE}::{NAME}`: it has one already; close "
            "that before"
        )
    return RegisteredPlugin(trt, creator)


def patch_crop_ptx(info: DeviceInfo, *, nvrtc: str | None = None) -> bytes:
    """Return the kernels as PTX, which `define_patch_crop` puts into plans.

    Args:
        info: Of the device; the PTX is for it and for newer ones.
        nvrtc: As `register_patch_crop` has it.

    Raises:
        MissingLibraryError: If there is no NVRTC.
        BackendError: If it does not compile.
    """
    compiler = _PtxCompiler(nvrtc, cuda_major=info.driver_version[0])
    return compiler.compile(kernel_source(), compute_capability=info.compute_capability)


class _PtxCompiler(Nvrtc):
    """NVRTC that leaves the last step to the driver."""

    def _architecture(self, compute_capability: tuple[int, int]) -> str:
        return super()._architecture(compute_capability).replace("sm_", "compute_")
