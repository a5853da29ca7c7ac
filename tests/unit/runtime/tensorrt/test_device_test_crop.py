"""The crop kernel, compiled for the CPU, through the check that a user runs on a device."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Bundle, read_bundle
from facealign.errors import SelfTestError
from facealign.runtime.tensorrt import device_test_crop
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.device_test_crop import check_crop_kernel
from facealign.runtime.tensorrt.kernels import compiled_kernels
from tests.doubles.cuda import COMPILER, Double, NvrtcDouble


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """Return the double of a device, whose kernels the double of NVRTC compiles."""
    if COMPILER is None:
        pytest.skip("no g++ to build the doubles with")
    double, nvrtc = Double(), NvrtcDouble()
    double.reset()
    nvrtc.reset()
    nvrtc.folder(tmp_path)
    compiled = functools.partial(compiled_kernels, library=str(nvrtc.path))
    monkeypatch.setattr(device_test_crop, "compiled_kernels", compiled)
    opened = open_device(library=str(double.path))
    yield opened
    opened.close()
    double.reset()


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


def test_the_kernel_cuts_the_golden_faces_as_the_cpu_does(bundle: Bundle, device: Device) -> None:
    text, figures = check_crop_kernel(bundle, device)

    assert text == f"{figures['max_grey']} grey levels off the CPU's, 2 faces of 16 px"
    assert figures["max_grey"] in {0, 1}


def test_a_kernel_that_is_off_is_said_with_how_much(
    bundle: Bundle, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = device_test_crop._cut

    def off(*arguments: object) -> NDArray[np.uint8]:
        return np.bitwise_xor(real(*arguments), 128)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(device_test_crop, "_cut", off)

    with pytest.raises(SelfTestError, match=r"is 12[789] grey levels off the CPU's crops, at most"):
        check_crop_kernel(bundle, device)
