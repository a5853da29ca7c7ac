"""Whether the crop kernel cuts what the CPU cuts."""

from __future__ import annotations

from contextlib import ExitStack

import cv2
import numpy as np
from numpy.typing import NDArray

from facealign.bundle import Bundle
from facealign.errors import SelfTestError
from facealign.geometry import Placement, crops_from_frame, placement_from_boxes
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.kernels import (
    CropKernel,
    DeviceFrame,
    bilinear_of_opencv,
    compiled_kernels,
    kernel_source,
)
from facealign.spec import CropSpec

__all__ = ["check_crop_kernel"]

_MAX_GREY = 1
_SOURCE = "crop.cu"


def check_crop_kernel(bundle: Bundle, device: Device) -> tuple[str, dict[str, float | int | None]]:
    """Cut the golden boxes on the device, and compare with OpenCV here.

    Raises:
        SelfTestError: If a value is more than one grey level off.
        BackendError: If the kernel cannot be compiled or run.
    """
    golden, spec = bundle.golden(), bundle.manifest.crop
    placement = placement_from_boxes(golden.boxes, spec.from_box)
    expected = crops_from_frame(golden.frame, placement, spec)
    found = _cut(device, golden.frame, placement, spec)
    off = int(np.abs(found.astype(np.int16) - expected).max())
    if off > _MAX_GREY:
        raise SelfTestError(
            f"the crop kernel is {off} grey levels off the CPU's crops, at most {_MAX_GREY} is "
            "allowed; report it with this file"
        )
    text = f"{off} grey levels off the CPU's, {len(found)} faces of {spec.size_px} px"
    return text, {"max_grey": off, "face_count": len(found)}


def _cut(
    device: Device, frame: NDArray[np.uint8], placement: Placement, spec: CropSpec
) -> NDArray[np.uint8]:
    """Return ``(F, size_px, size_px, 3)`` crops that were cut on the device."""
    image = compiled_kernels(kernel_source(_SOURCE), device.info)
    height, width = frame.shape[:2]
    shape = (len(placement.side), spec.size_px, spec.size_px, 3)
    size = int(np.prod(shape))
    with ExitStack() as stack:
        stream = device.stream()
        stack.callback(stream.close)
        pixels, crops = device.pinned_buffer(frame.size), device.pinned_buffer(size)
        source, target = device.device_buffer(frame.size), device.device_buffer(size)
        for buffer in (pixels, crops, source, target):
            stack.callback(buffer.close)
        bilinear = bilinear_of_opencv(cv2.__version__)
        kernel = CropKernel(device, image, spec, max_faces=shape[0], bilinear=bilinear)
        stack.callback(kernel.close)
        pixels.array[:] = frame.reshape(-1)
        there = DeviceFrame(source.address, height, width, 3 * width)
        device.copy_to_device(source.address, pixels, size=frame.size, stream=stream)
        kernel.write(placement, there)
        kernel.enqueue(stream, there, target.address)
        device.copy_to_host(crops, target.address, size=size, stream=stream)
        stream.synchronize()
        cut: NDArray[np.uint8] = crops.array.reshape(shape).copy()
        return cut
