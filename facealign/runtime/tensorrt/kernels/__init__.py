"""Kernels in CUDA C: their sources, how they are compiled on the device, and how they are run."""

from __future__ import annotations

from facealign.runtime.tensorrt.kernels.compiled import compiled_kernels, kernel_source
from facealign.runtime.tensorrt.kernels.crop import (
    Bilinear,
    CropKernel,
    DeviceFrame,
    bilinear_of_opencv,
)
from facealign.runtime.tensorrt.kernels.normalise import NormaliseKernel

__all__ = [
    "Bilinear",
    "CropKernel",
    "DeviceFrame",
    "NormaliseKernel",
    "bilinear_of_opencv",
    "compiled_kernels",
    "kernel_source",
]
