"""Fixtures on the doubles of CUDA, for a `conftest.py` to import."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from facealign.runtime.tensorrt.device import Device, open_device
from tests.doubles.cuda import COMPILER, Double, NvrtcDouble

# Set where the double stands in for the system's libcuda.so.1: its path. Then pycuda runs on it.
SYSTEM_LIBRARY = "FACEALIGN_CUDA_DOUBLE"


@pytest.fixture
def cuda() -> Iterator[Double]:
    """Return the libcuda double, with nothing alive and nothing counted."""
    if COMPILER is None:
        pytest.skip("no g++ to build the CUDA double with")
    double = Double(Path(os.environ[SYSTEM_LIBRARY]) if SYSTEM_LIBRARY in os.environ else None)
    double.reset()
    yield double
    double.reset()


@pytest.fixture
def device(cuda: Double) -> Iterator[Device]:
    """Return a device on the double, of the back `ctypes` unless the double is the system's."""
    if SYSTEM_LIBRARY in os.environ:
        opened = open_device(back="pycuda")
    else:
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
