"""The kernel of the float planes, compiled for the CPU, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.kernels import NormaliseKernel, compiled_kernels, kernel_source
from tests.doubles.cuda import Double, NvrtcDouble

MEAN, SCALE = (123.675, 116.28, 103.53), (0.017, 0.0175, 0.0174)


@pytest.fixture
def image(device: Device, nvrtc: NvrtcDouble) -> bytes:
    return compiled_kernels(kernel_source("crop.cu"), device.info, library=str(nvrtc.path))


@pytest.mark.parametrize("reverse", [False, True], ids=["same-order", "reversed"])
def test_planes_are_those_of_numpy(
    device: Device, image: bytes, rng: np.random.Generator, *, reverse: bool
) -> None:
    crops = rng.integers(0, 256, (3, 9, 9, 3), dtype=np.uint8)
    source, made = device.pinned_buffer(crops.size), device.pinned_buffer(4 * crops.size)
    source.array[:] = crops.reshape(-1)
    there, target = device.device_buffer(crops.size), device.device_buffer(4 * crops.size)
    kernel, stream = (
        NormaliseKernel(device, image, mean=MEAN, scale=SCALE, reverse=reverse),
        device.stream(),
    )

    device.copy_to_device(there.address, source, size=crops.size, stream=stream)
    kernel.enqueue(stream, there.address, target.address, size_px=9, face_count=3)
    device.copy_to_host(made, target.address, size=4 * crops.size, stream=stream)
    stream.synchronize()

    ordered = (crops[..., ::-1] if reverse else crops).astype(np.float32)
    expected = (ordered - np.array(MEAN, np.float32)) * np.array(SCALE, np.float32)
    planes = made.array.view(np.float32).reshape(3, 3, 9, 9)
    assert np.array_equal(planes, expected.transpose(0, 3, 1, 2))


def test_no_face_is_no_launch(cuda: Double, device: Device, image: bytes) -> None:
    kernel = NormaliseKernel(device, image, mean=MEAN, scale=SCALE)

    kernel.enqueue(device.stream(), 0, 0, size_px=9, face_count=0)

    assert "cuLaunchKernel" not in cuda.calls()


@pytest.mark.parametrize("count", [-1, 65536])
def test_too_many_faces_are_refused(device: Device, image: bytes, count: int) -> None:
    kernel = NormaliseKernel(device, image, mean=MEAN, scale=SCALE)

    with pytest.raises(ValueError, match="`face_count` must be 0 to 65535, got"):
        kernel.enqueue(device.stream(), 0, 0, size_px=9, face_count=count)
