"""The doubles of CUDA, for every test of this folder."""

from __future__ import annotations

from tests.doubles.cuda.fixtures import cuda, device, nvrtc

__all__ = ["cuda", "device", "nvrtc"]
