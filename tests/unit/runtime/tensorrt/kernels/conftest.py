"""A device on the double of libcuda, in place of the host's, and the double of NVRTC."""

from __future__ import annotations

from tests.doubles.cuda.fixtures import device, nvrtc

__all__ = ["device", "nvrtc"]
