"""The proof of TensorRT, on doubles."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt import proof
from facealign.runtime.tensorrt.proof import prove_tensorrt
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> HostDevice:
    opened = HostDevice()
    monkeypatch.setattr(proof, "open_device", lambda **_: opened)
    return opened


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch, device: HostDevice) -> ModuleType:
    module = TensorrtDouble("10.3", device).module
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module


@pytest.mark.usefixtures("trt")
def test_tensorrt_is_proved_by_a_runtime_on_the_gpu(device: HostDevice) -> None:
    steps = list[str]()

    found = prove_tensorrt(steps.append)

    assert found == ("10.3.0", device.info)
    assert steps == ["import tensorrt", "open the GPU", "make a Runtime of TensorRT"]


@pytest.mark.usefixtures("trt")
def test_tensorrt_makes_no_runtime_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> HostDevice:
        raise BackendError("there is no driver")

    steps = list[str]()
    monkeypatch.setattr(proof, "open_device", fail)

    with pytest.raises(BackendError, match="there is no driver"):
        prove_tensorrt(steps.append)
    assert steps[-1] == "open the GPU"


def test_why_no_runtime_is_made_is_what_the_logger_heard(
    monkeypatch: pytest.MonkeyPatch, trt: ModuleType
) -> None:
    def refuse(logger: object) -> None:
        logger.log(trt.ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")  # type: ignore[attr-defined]  # a logger of the double
        raise TypeError("pybind11::init(): factory function returned nullptr")

    monkeypatch.setattr(trt, "Runtime", refuse)

    with pytest.raises(BackendError, match="cannot make a Runtime: CUDA initialization failure"):
        prove_tensorrt(lambda _: None)


def test_a_tensorrt_that_is_too_old_is_told(
    monkeypatch: pytest.MonkeyPatch, trt: ModuleType
) -> None:
    monkeypatch.setattr(trt, "__version__", "8.6.2")

    with pytest.raises(BackendError, match=r"8\.6\.2 is older than 10\.3"):
        prove_tensorrt(lambda _: None)
