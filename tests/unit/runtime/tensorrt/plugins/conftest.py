"""The kernel of the patch crop on the CUDA double, compiled from its own source for the CPU."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.plugins.launch import KERNELS, PatchCropKernel, kernel_source
from tests.doubles.cuda import COMPILER, HERE
from tests.doubles.cuda.fixtures import cuda, device, nvrtc
from tests.patch_crop import Floats, run_patch_crop

__all__ = ["cuda", "device", "nvrtc"]

Crop = Callable[[Floats, NDArray[np.float32]], Floats]


@pytest.fixture(scope="session")
def cpu_image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return what the CUDA double loads for `patch_crop.cu`."""
    if COMPILER is None:
        pytest.skip("no g++ to compile the kernel for the CPU with")
    folder = tmp_path_factory.mktemp("patch_crop")
    source, library = folder / "patch_crop.cpp", folder / "patch_crop.so"
    shown = [f"DOUBLE_KERNEL({name})" for name in KERNELS.values()]
    lines = [f'#include "{HERE / "kernel_shim.h"}"', kernel_source(), *shown]
    source.write_text("\n".join(lines), "utf-8")
    command = [COMPILER, "-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run([*command, "-o", str(library), str(source)], check=True)
    return f"CUDA DOUBLE MODULE:{library}".encode()


@pytest.fixture
def kernel(device: Device, cpu_image: bytes) -> PatchCropKernel:
    return PatchCropKernel(device, cpu_image)


@pytest.fixture
def crop(device: Device, kernel: PatchCropKernel) -> Crop:
    """Return a function that runs the kernel."""
    return lambda features, grid: run_patch_crop(device, kernel, features, grid)
