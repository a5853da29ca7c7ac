"""Whether TensorRT works here, without a plan."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from types import ModuleType

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import DeviceInfo, open_device
from facealign.runtime.tensorrt.library import BINDING_ERRORS, import_tensorrt, tensorrt_version
from facealign.runtime.tensorrt.messages import Messages

__all__ = ["OLDEST_TENSORRT", "prove_tensorrt"]

OLDEST_TENSORRT = (10, 3)
"""The first release that plans are built with."""


def prove_tensorrt(step: Callable[[str], None]) -> tuple[str, DeviceInfo]:
    """Make what every plan is opened with, and return TensorRT's version and the GPU.

    Args:
        step: Told what comes next, as a library that does not fit may end the process.

    Raises:
        BackendError: If TensorRT is not installed, is too old or does not work on the GPU, or if
            there is no GPU.
    """
    step("import tensorrt")
    trt = import_tensorrt()
    version = tensorrt_version(trt)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TENSORRT:
        oldest = ".".join(map(str, OLDEST_TENSORRT))
        raise BackendError(f"TensorRT {version} is older than {oldest}, the first that can be used")
    # First: without a GPU, making a Runtime of TensorRT ends the process.
    step("open the GPU")
    with closing(open_device(back="ctypes")) as device:
        step("make a Runtime of TensorRT")
        device.make_current()
        _make_runtime(trt)
        return version, device.info


def _make_runtime(trt: ModuleType) -> None:
    messages = Messages(trt)
    try:
        trt.Runtime(messages.logger)
    except BINDING_ERRORS as error:  # it says "factory function returned nullptr", its logger why
        raise messages.failure("make a Runtime", cause=error) from error
