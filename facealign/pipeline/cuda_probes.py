"""Probes of a GPU: TensorRT, copies, and the compiler of kernels; each imports what it needs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Literal

from facealign.errors import BackendError
from facealign.machine.packages import installed_versions

if TYPE_CHECKING:  # a device may have no engine that needs it
    from facealign.pipeline.probes import Step
    from facealign.runtime.tensorrt.device import Device, DeviceInfo

__all__ = ["probe_crossing", "probe_nvrtc", "probe_tensorrt"]

_KERNELS = "crop.cu"
_ORIN = (8, 7)  # what NVRTC compiles for where there is no device to ask
_SIZE = 2**20


def probe_tensorrt(step: Step) -> str:
    """Open TensorRT's library on the GPU, and return both."""
    from facealign.runtime.tensorrt.proof import prove_tensorrt

    version, info = prove_tensorrt(step)
    return f"TensorRT {version} on {_device_text(info)}"


def probe_crossing(back: Literal["pycuda", "ctypes"], step: Step) -> str:
    """Copy bytes to the GPU and back, and return what it is.

    Raises:
        BackendError: If they come back as others.
    """
    from facealign.runtime.tensorrt.device import open_device

    step("open the GPU")
    with closing(open_device(back=back)) as device:
        step("copy there and back")
        _cross(device)
        version = installed_versions((back,)).get(back)
        return f"{f'{back} {version}, ' if version else ''}{_device_text(device.info)}"


def probe_nvrtc(step: Step) -> str:
    """Compile the kernels that cut crops, and return by what."""
    from facealign.runtime.tensorrt.device import open_device
    from facealign.runtime.tensorrt.kernels.compiled import kernel_source
    from facealign.runtime.tensorrt.kernels.nvrtc import Nvrtc

    step("open the GPU")
    capability, major = _ORIN, None
    try:
        with closing(open_device(back="ctypes")) as device:
            capability, major = device.info.compute_capability, device.info.driver_version[0]
    except BackendError:
        step("load NVRTC, with no GPU")
    step("load NVRTC")
    nvrtc = Nvrtc(cuda_major=major)
    step("compile kernels")
    image = nvrtc.compile(kernel_source(_KERNELS), compute_capability=capability)
    version, target = (".".join(map(str, each)) for each in (nvrtc.version, capability))
    return f"NVRTC {version}, {_KERNELS} for compute capability {target}: {len(image)} bytes"


def _cross(device: Device) -> None:
    with (
        closing(device.stream()) as stream,
        closing(device.device_buffer(_SIZE)) as there,
        closing(device.pinned_buffer(_SIZE)) as sent,
        closing(device.pinned_buffer(_SIZE)) as received,
    ):
        sent.array[:] = memoryview(bytes(range(256)) * (_SIZE // 256))
        device.copy_to_device(there.address, sent, size=_SIZE, stream=stream)
        device.copy_to_host(received, there.address, size=_SIZE, stream=stream)
        stream.synchronize()
        if received.array.tobytes() != sent.array.tobytes():
            raise BackendError("bytes that were copied to the GPU and back are others")


def _device_text(info: DeviceInfo) -> str:
    capability, driver = (
        ".".join(map(str, each)) for each in (info.compute_capability, info.driver_version)
    )
    memory = f"{info.memory_bytes / 2**30:.1f} GiB"
    shared = ", shared with the CPU" if info.is_integrated else ""
    return f"{info.name}, compute capability {capability}, {memory}{shared}, CUDA driver {driver}"
