"""The kernel's own source, compiled for the CPU: not a GPU, and not its conversions of FP16."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.plugins.launch import (
    CHANNELS,
    KERNELS,
    CropSize,
    LentStream,
    PatchCropKernel,
    kernel_source,
)
from facealign.runtime.tensorrt.plugins.reference import crop_patches
from tests.doubles.cuda import Double
from tests.grid_sample import grid_sample
from tests.patch_crop import CASES, case
from tests.unit.runtime.tensorrt.plugins.conftest import Crop

TOLERANCE = 1e-5  # largest measured 1.2e-07 from numpy, 0 from ONNX Runtime: 30 seeds
NVCC = shutil.which("nvcc")
ARCHITECTURES = ("sm_87", "sm_90", "sm_110")  # Orin, Hopper, Thor


@pytest.mark.parametrize("name", CASES)
def test_kernel_gives_what_numpy_gives(name: str, crop: Crop, rng: np.random.Generator) -> None:
    features, grid = case(name, rng)

    patches = crop(features, grid)

    np.testing.assert_allclose(patches, crop_patches(features, grid), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_kernel_is_grid_sample_of_onnx_runtime(
    name: str, crop: Crop, rng: np.random.Generator
) -> None:
    features, grid = case(name, rng)

    patches = crop(features, grid)

    np.testing.assert_allclose(patches, grid_sample(features, grid), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CASES)
def test_kernel_rounds_float16_maps_once(name: str, crop: Crop, rng: np.random.Generator) -> None:
    features, grid = case(name, rng)
    halves = features.astype(np.float16)
    exact = crop_patches(halves.astype(np.float32), grid)

    patches = crop(halves, grid)

    assert patches.dtype == np.float16
    np.testing.assert_allclose(
        patches.astype(np.float32), exact, atol=TOLERANCE, rtol=np.finfo(np.float16).eps / 2
    )


def test_kernel_keeps_every_float16_as_it_is(crop: Crop) -> None:
    numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    maps = numbers.reshape(1 << 15, 2, 1, 1)  # of one cell: no neighbour adds anything
    middles = np.zeros((len(maps), 1, 1, 2), np.float32)

    patches = crop(maps, middles).reshape(-1)

    np.testing.assert_array_equal(patches, numbers)


def test_kernel_keeps_the_map_of_each_image(crop: Crop, rng: np.random.Generator) -> None:
    features, grid = case("random", rng)

    together = crop(features, grid)
    alone = crop(features[1:], grid[1:])

    np.testing.assert_array_equal(together[1:], alone)


@pytest.mark.parametrize("empty", [CropSize(0, 1, 2, 2, 4), CropSize(1, 1, 2, 2, 0)])
def test_launch_queues_nothing_for_no_patches(
    empty: CropSize, kernel: PatchCropKernel, cuda: Double
) -> None:
    kernel.launch(LentStream(0), empty, addresses=(0, 0, 0), dtype="float32")

    assert cuda.calls().get("cuLaunchKernel", 0) == 0


def test_launch_tells_what_cuda_refuses(kernel: PatchCropKernel, cuda: Double) -> None:
    cuda.fail_at("cuLaunchKernel")

    with pytest.raises(BackendError, match="cuLaunchKernel"):
        kernel.launch(LentStream(0), CropSize(1, 1, 1, 1, 1), addresses=(0, 0, 0), dtype="float32")


def test_kernel_can_be_captured_and_replayed(
    device: Device, kernel: PatchCropKernel, cuda: Double
) -> None:
    stream = device.stream()
    memory = device.device_buffer(64)
    size = CropSize(1, 1, 1, 1, 1)
    addresses = (memory.address, memory.address + 16, memory.address + 32)

    graph = device.capture(
        stream, lambda: kernel.launch(stream, size, addresses=addresses, dtype="float32")
    )
    graph.launch(stream)
    stream.synchronize()

    assert cuda.calls()["cuGraphLaunch"] == 1
    assert cuda.live("module") == 1


@pytest.mark.parametrize(("handle", "named"), [(0, 1), (5, 5)], ids=["default", "own"])
def test_lent_stream_names_the_default_stream(handle: int, named: int) -> None:
    stream = LentStream(handle)

    stream.close()  # it belongs to TensorRT

    assert stream.handle == named


def test_source_and_launch_agree_on_channels() -> None:
    assert f"#define CHANNELS {CHANNELS} " in kernel_source()


@pytest.mark.skipif(NVCC is None, reason="no nvcc to compile the kernel with")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvcc_compiles_the_kernel(architecture: str, tmp_path: Path) -> None:
    source, image = tmp_path / "patch_crop.cu", tmp_path / "patch_crop.cubin"
    source.write_text(kernel_source(), "utf-8")
    flags = ["-cubin", f"-arch={architecture}", "-Werror", "all-warnings", "-o", str(image)]

    subprocess.run([str(NVCC), *flags, str(source)], check=True, capture_output=True)

    assert all(name.encode() in image.read_bytes() for name in KERNELS.values())
