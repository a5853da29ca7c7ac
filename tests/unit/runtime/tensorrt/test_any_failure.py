"""Whatever call of TensorRT or CUDA fails on the way: one clean error, and nothing is left."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import FacealignError
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.doubles.cuda import Double
from tests.doubles.host_device import HostDevice
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import SIZE_PX

Way = Callable[[Device], str]

# What `the_whole_way` calls; test_there_are_no_more_calls holds it to that.
TENSORRT_CALLS = 47
CUDA_CALLS = 50
# A capture that fails is no error: the run is queued call by call, and a log line says so. Nor is
# the last wait before everything is freed.
NO_ERROR = {
    "IExecutionContext.execute_async_v3",
    "cuCtxSetCurrent",
    "cuMemcpyDtoHAsync",
    "cuMemcpyHtoDAsync",
    "cuStreamBeginCapture",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
}


def the_whole_way(
    contract: PlanContract, device: Device, crops: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Open, run, capture, replay, submit, collect and close; return all landmarks."""
    engine = engine_from_plan(contract, device, closes_device=True)
    try:
        runs = [engine.run(crops), engine.run(crops), engine.run(crops[:1])]
        tickets = [engine.submit(crops[:1]), engine.submit(crops)]
        runs += [engine.collect(ticket) for ticket in tickets]
        return [run["landmarks"] for run in runs]
    finally:
        engine.close()


@pytest.fixture
def attempt(
    double: TensorrtDouble, contract: PlanContract, rng: np.random.Generator
) -> Iterator[Way]:
    """Return what goes the whole way and gives ``right``, ``wrong`` or the words of our error."""
    crops = rng.integers(0, 256, (2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    calm = HostDevice()
    usual, double.cuda = double.cuda, calm
    expected = the_whole_way(contract, calm, crops)
    double.cuda = usual
    double.reset_calls()

    def way(device: Device) -> str:
        try:
            found = the_whole_way(contract, device, crops)
        except FacealignError as error:
            return str(error)
        pairs = zip(found, expected, strict=True)
        return "right" if all(itertools.starmap(np.array_equal, pairs)) else "wrong"

    yield way
    gc.collect()


def test_there_are_no_more_calls(double: TensorrtDouble, device: HostDevice, attempt: Way) -> None:
    outcome = attempt(device)

    assert outcome == "right"
    assert (len(double.calls), len(device.calls)) == (TENSORRT_CALLS, CUDA_CALLS)


@pytest.mark.parametrize("how", ["answer", "raise"])
@pytest.mark.parametrize("call", range(TENSORRT_CALLS))
def test_engine_survives_a_failing_call_of_tensorrt(
    double: TensorrtDouble,
    device: HostDevice,
    attempt: Way,
    call: int,
    how: Literal["answer", "raise"],
) -> None:
    double.fail_how = how
    double.reset_calls(fail_at=call)

    outcome = attempt(device)

    assert_failed_cleanly(outcome, double.calls[call])
    assert_nothing_is_left(double, device)


@pytest.mark.parametrize("call", range(CUDA_CALLS))
def test_engine_survives_a_failing_call_of_cuda(
    double: TensorrtDouble, device: HostDevice, attempt: Way, call: int
) -> None:
    device.fail_at = call

    outcome = attempt(device)

    assert_failed_cleanly(outcome, device.calls[call])
    assert_nothing_is_left(double, device)


def assert_failed_cleanly(outcome: str, failed: str) -> None:
    is_told = "the double was told to fail" in outcome or "returned nullptr" in outcome
    assert is_told or (outcome == "right" and failed in NO_ERROR), (outcome, failed)


def assert_nothing_is_left(double: TensorrtDouble, device: HostDevice) -> None:
    gc.collect()
    assert double.objects_alive() == {}
    assert device.things_alive() == {}
    assert device.is_closed


def outcome_on_driver(cuda: Double, attempt: Way) -> str:
    """Return what `attempt` gives on the real device layer over the double of the driver."""
    try:
        return attempt(open_device(library=str(cuda.path)))
    except FacealignError as error:  # the device itself could not be opened
        return str(error)


# How often each function of the driver is called; test_the_driver_sees_no_more_calls holds it.
DRIVER_CALLS = {
    "cuCtxPopCurrent_v2": 50,
    "cuCtxPushCurrent_v2": 50,
    "cuCtxSetCurrent": 12,
    "cuDeviceGet": 1,
    "cuDeviceGetAttribute": 3,
    "cuDeviceGetName": 1,
    "cuDevicePrimaryCtxRelease_v2": 1,
    "cuDevicePrimaryCtxRetain": 1,
    "cuDeviceTotalMem_v2": 1,
    "cuDriverGetVersion": 1,
    "cuGraphDestroy": 3,
    "cuGraphExecDestroy": 3,
    "cuGraphInstantiateWithFlags": 3,
    "cuGraphLaunch": 2,
    "cuInit": 1,
    "cuMemAlloc_v2": 6,
    "cuMemFreeHost": 4,
    "cuMemFree_v2": 6,
    "cuMemHostAlloc": 4,
    "cuMemcpyDtoHAsync_v2": 6,
    "cuMemcpyHtoDAsync_v2": 5,
    "cuStreamBeginCapture_v2": 3,
    "cuStreamCreate": 2,
    "cuStreamDestroy_v2": 2,
    "cuStreamEndCapture": 3,
    "cuStreamSynchronize": 9,
    "double_enqueue": 6,
}


def test_the_driver_sees_no_more_calls(double: TensorrtDouble, cuda: Double, attempt: Way) -> None:
    double.cuda = LibcudaMemory(cuda)

    outcome = outcome_on_driver(cuda, attempt)

    assert outcome == "right"
    assert cuda.calls() == DRIVER_CALLS


@pytest.mark.parametrize(
    ("function", "nth"),
    [(name, nth + 1) for name, count in DRIVER_CALLS.items() for nth in range(count)],
)
def test_engine_survives_a_failing_call_of_the_driver(
    double: TensorrtDouble, cuda: Double, attempt: Way, function: str, nth: int
) -> None:
    double.cuda = LibcudaMemory(cuda)
    cuda.fail_at(function, nth)

    outcome = outcome_on_driver(cuda, attempt)
    gc.collect()

    assert outcome == "right" or "failed" in outcome
    assert (cuda.live(), cuda.counter("orphans"), double.objects_alive()) == (0, 0, {})
