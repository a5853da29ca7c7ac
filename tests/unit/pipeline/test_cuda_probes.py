"""Probes of a GPU, on doubles."""

from __future__ import annotations

import sys

import pytest

import facealign.runtime.tensorrt.device as device_package
from facealign.errors import BackendError
from facealign.pipeline.cuda_probes import probe_crossing, probe_nvrtc, probe_tensorrt
from facealign.runtime.tensorrt import proof
from facealign.runtime.tensorrt.device import PinnedBuffer, Stream
from facealign.runtime.tensorrt.kernels import nvrtc as nvrtc_module
from tests.doubles.cuda import NvrtcDouble
from tests.doubles.cuda.fixtures import nvrtc
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble

__all__ = ["nvrtc"]


class _Deaf(HostDevice):
    """A device whose copies do not arrive."""

    def copy_to_host(self, target: PinnedBuffer, source: int, *, size: int, stream: Stream) -> None:
        pass


def _put(monkeypatch: pytest.MonkeyPatch, device: HostDevice | None) -> None:
    def opened(**_: object) -> HostDevice:
        if device is None:
            raise BackendError("there is no driver")
        return device

    monkeypatch.setattr(device_package, "open_device", opened)


def test_tensorrt_is_proved_by_a_runtime_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    device = HostDevice()
    monkeypatch.setattr(proof, "open_device", lambda **_: device)
    monkeypatch.setitem(sys.modules, "tensorrt", TensorrtDouble("10.3", device).module)

    text = probe_tensorrt(lambda _: None)

    assert text.startswith("TensorRT 10.3.0 on ")
    assert "compute capability" in text


def test_bytes_cross_to_the_gpu_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, HostDevice())

    assert "compute capability" in probe_crossing("ctypes", lambda _: None)


def test_bytes_that_do_not_come_back_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _put(monkeypatch, _Deaf())

    with pytest.raises(BackendError, match="copied to the GPU and back are others"):
        probe_crossing("ctypes", lambda _: None)


def test_nvrtc_compiles_without_a_gpu(monkeypatch: pytest.MonkeyPatch, nvrtc: NvrtcDouble) -> None:
    _put(monkeypatch, None)
    monkeypatch.setattr(nvrtc_module, "library_candidates", lambda _: [str(nvrtc.path)])

    text = probe_nvrtc(lambda _: None)

    assert "crop.cu for compute capability 8.7" in text
    assert nvrtc.live() == 0
