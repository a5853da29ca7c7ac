"""The kernels on the device, against what the CPU computes."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.geometry import crops_from_frame, placement_from_boxes
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.kernels import (
    CropKernel,
    DeviceFrame,
    bilinear_of_opencv,
)
from facealign.runtime.tensorrt.kernels import kernel_source as source_of
from facealign.runtime.tensorrt.plugins.launch import PatchCropKernel, kernel_source
from facealign.runtime.tensorrt.plugins.reference import crop_patches
from facealign.spec import CropSpec, SquareRule
from tests.device.machine import Machine
from tests.patch_crop import CASES, case, run_patch_crop

GREYS = 1
TOLERANCE = 1e-3
RULE = SquareRule(1.2, "exact")
# Inside, over each border, and turned into few and many pixels.
BOXES = np.array(
    [[30, 20, 90, 95], [-30, 10, 25, 70], [130, 80, 190, 150], [70, 50, 78, 57], [0, 0, 159, 119]],
    np.float64,
)


@pytest.mark.parametrize("name", CASES)
def test_patch_crop_of_float32_is_the_reference(
    name: str, machine: Machine, device: Device, rng: np.random.Generator
) -> None:
    features, grid = case(name, rng)
    kernel = PatchCropKernel(device, machine.image(kernel_source(), device.info))

    patches = run_patch_crop(device, kernel, features, grid)

    np.testing.assert_allclose(patches, crop_patches(features, grid), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_patch_crop_of_float16_is_the_reference(
    name: str, machine: Machine, device: Device, rng: np.random.Generator
) -> None:
    features, grid = case(name, rng)
    halves = features.astype(np.float16)
    kernel = PatchCropKernel(device, machine.image(kernel_source(), device.info))

    patches = run_patch_crop(device, kernel, halves, grid)

    expected = crop_patches(halves.astype(np.float32), grid)
    np.testing.assert_allclose(patches.astype(np.float32), expected, atol=TOLERANCE, rtol=0)


def test_patch_crop_keeps_every_float16(machine: Machine, device: Device) -> None:
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    maps = numbers.reshape(1 << 15, 2, 1, 1)  # of one cell: no neighbour adds anything
    middles = np.zeros((len(maps), 1, 1, 2), np.float32)
    kernel = PatchCropKernel(device, machine.image(kernel_source(), device.info))

    patches = run_patch_crop(device, kernel, maps, middles).reshape(-1)

    np.testing.assert_array_equal(patches, numbers)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("size_px", [16, 256])
def test_crops_are_those_of_the_cpu(
    interpolation: Literal["bilinear", "nearest"],
    size_px: int,
    machine: Machine,
    device: Device,
    frame: NDArray[np.uint8],
) -> None:
    spec = CropSpec(size_px, RULE, RULE, interpolation, 90)
    placement = placement_from_boxes(BOXES, RULE)

    with closing(device.stream()) as stream:
        image = machine.image(source_of("crop.cu"), device.info)
        bilinear = bilinear_of_opencv(cv2.__version__)
        kernel = CropKernel(device, image, spec, max_faces=len(BOXES), bilinear=bilinear)
        height, width, _ = frame.shape
        size = len(BOXES) * size_px**2 * 3
        pixels, found = device.pinned_buffer(frame.size), device.pinned_buffer(size)
        source, target = device.device_buffer(frame.size), device.device_buffer(size)
        pixels.array[:] = frame.reshape(-1)
        there = DeviceFrame(source.address, height, width, 3 * width)
        device.copy_to_device(source.address, pixels, size=frame.size, stream=stream)
        kernel.write(placement, there)
        kernel.enqueue(stream, there, target.address)
        device.copy_to_host(found, target.address, size=size, stream=stream)
        stream.synchronize()
        kernel.close()

    expected = crops_from_frame(frame, placement, spec)
    crops = found.array.reshape(expected.shape).astype(np.int16)
    assert np.abs(crops - expected).max() <= GREYS
