"""What pycuda answers with an error; only where `test_pycuda_device.py` has put the double."""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, open_device
from tests.doubles.cuda import Double
from tests.doubles.cuda.fixtures import SYSTEM_LIBRARY

pytestmark = pytest.mark.skipif(
    SYSTEM_LIBRARY not in os.environ, reason="`test_pycuda_device.py` runs these"
)
OPENING = [
    "cuInit",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
    "cuDriverGetVersion",
    "cuDevicePrimaryCtxRetain",
]


def use(device: Device) -> None:
    stream, event = device.stream(), device.event()
    buffer, pinned = device.device_buffer(64), device.pinned_buffer(64, mapped=True)

    def enqueue() -> None:
        device.copy_to_device(buffer.address, pinned, size=64, stream=stream)
        device.copy_to_host(pinned, buffer.address, size=64, stream=stream)

    device.capture(stream, enqueue).launch(stream)
    event.record(stream)
    event.synchronize()
    stream.synchronize()


@pytest.mark.parametrize("function", OPENING)
def test_a_device_that_cannot_be_opened_is_named_and_leaves_nothing(
    cuda: Double, function: str
) -> None:
    cuda.fail_at(function)

    with pytest.raises(BackendError, match=f"`{function.removesuffix('_v2')}(_v2)?` failed: "):
        open_device(back="pycuda")

    assert cuda.live() == 0


@pytest.mark.parametrize(
    "function",
    [
        "cuStreamCreate",
        "cuEventCreate",
        "cuMemAlloc_v2",
        "cuMemHostAlloc",
        "cuMemHostGetDevicePointer_v2",
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuStreamBeginCapture_v2",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
        "cuGraphLaunch",
        "cuEventRecord",
        "cuEventSynchronize",
        "cuStreamSynchronize",
        "cuCtxPushCurrent_v2",
    ],
)
def test_a_call_that_fails_is_named_and_leaves_nothing(
    cuda: Double, device: Device, function: str
) -> None:
    cuda.fail_at(function)

    with pytest.raises(BackendError, match=f"`{function.removesuffix('_v2')}(_v2)?` failed: "):
        use(device)
    device.close()

    assert cuda.live() == 0
    assert cuda.counter("current_contexts") == 0


def test_a_context_that_cannot_be_taken_away_is_our_error(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pycuda = importlib.import_module("pycuda.driver")

    def fail() -> None:
        pycuda.Context.pop()  # pycuda's stack of the thread is of no use once this fails in earnest
        raise pycuda.Error("cuCtxPopCurrent failed: unknown error")

    failing = SimpleNamespace(Error=pycuda.Error, Context=SimpleNamespace(pop=fail))
    monkeypatch.setattr(device._context, "_cuda", failing)  # type: ignore[attr-defined]  # of both

    with pytest.raises(BackendError, match="`cuCtxPopCurrent` failed: unknown error"):
        device.stream()


def test_pycuda_is_what_auto_takes(cuda: Double) -> None:
    opened = open_device()
    opened.close()

    assert opened.back == "pycuda"
    assert cuda.live() == 0


def test_auto_goes_on_without_a_pycuda_that_fails(
    cuda: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycuda.VERSION", (2024, 1))

    opened = open_device()
    opened.close()

    assert opened.back == "ctypes"
    assert cuda.live() == 0


def test_a_pycuda_that_is_too_old_is_refused(cuda: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycuda.VERSION", (2025, 1, 1))

    with pytest.raises(BackendError, match=r"and 2025\.1\.2 is the oldest that works"):
        open_device(back="pycuda")

    assert cuda.live() == 0


def test_a_device_that_is_not_there_is_cudas_error(cuda: Double) -> None:
    with pytest.raises(BackendError, match="`cuDeviceGet` failed: invalid device ordinal"):
        open_device(7, back="pycuda")

    assert cuda.live() == 0
