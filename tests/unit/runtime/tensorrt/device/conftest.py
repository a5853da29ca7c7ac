"""The doubles of CUDA, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from facealign.runtime.tensorrt.device import Device, open_device
from tests.doubles.cuda import COMPILER, Double, NvrtcDouble


@pytest.fixture
def cuda() -> Iterator[Double]:
    """Return the libcuda double, with nothing alive and nothing counted."""
    if COMPILER is None:
        pytest.skip("no g++ to build the CUDA double with")
    double = Double()
    double.reset()
    yield double
    double.reset()


@pytest.fixture
def device(cuda: Double) -> Iterator[Device]:
    """Return a device on the double."""
    opened = open_device(library=str(cuda.path))
    yield opened
    opened.close()


@pytest.fixture
def nvrtc(tmp_path: Path) -> Iterator[NvrtcDouble]:
    """Return the libnvrtc double; its kernels run on the libcuda double only."""
    if COMPILER is None:
        pytest.skip("no g++ to build the NVRTC double with")
    double = NvrtcDouble()
    double.reset()
    double.folder(tmp_path)
    yield double
    double.reset()
