"""Whatever call of TensorRT or CUDA fails, on the whole way: one clean error, and nothing is left."""

from __future__ import annotations

import gc
import itertools
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.errors import FacealignError
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import SIZE_PX

# What `the_whole_way` calls; test_there_are_no_more_calls holds it to that.
TENSORRT_CALLS = 47
CUDA_CALLS = 51
# A capture that fails is no error: the run is queued call by call, and a log line says so. Nor is
# the last wait before everything is freed.
NO_ERROR = {
    "cuStreamSynchronize",
    "IExecutionContext.execute_async_v3",
    "cuCtxSetCurrent",
    "cuMemcpyDtoHAsync",
    "cuMemcpyHtoDAsync",
    "cuStreamBeginCapture",
    "cuStreamEndCapture",
}


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


def the_whole_way(
    contract: PlanContract, device: HostDevice, crops: NDArray[np.uint8]
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


def attempt(
    contract: PlanContract,
    device: HostDevice,
    crops: NDArray[np.uint8],
    expected: list[NDArray[np.float32]],
) -> str:
    """Return ``right``, ``wrong`` or the words of our error; anything else is raised."""
    try:
        found = the_whole_way(contract, device, crops)
    except FacealignError as error:
        return str(error)
    pairs = zip(found, expected, strict=True)
    return "right" if all(itertools.starmap(np.array_equal, pairs)) else "wrong"


@pytest.fixture
def expected(
    double: TensorrtDouble, contract: PlanContract, crops: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """Return what nothing fails for; the double counts from zero afterwards."""
    calm = HostDevice()
    usual, double.cuda = double.cuda, calm
    landmarks = the_whole_way(contract, calm, crops)
    double.cuda = usual
    double.reset_calls()
    return landmarks


def assert_nothing_is_left(double: TensorrtDouble, device: HostDevice) -> None:
    gc.collect()
    assert double.objects_alive() == {}
    assert device.things_alive() == {}
    assert device.is_closed


def test_there_are_no_more_calls(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    the_whole_way(contract, device, crops)

    assert (len(double.calls), len(device.calls)) == (TENSORRT_CALLS, CUDA_CALLS), [
        double.calls,
        device.calls,
    ]


@pytest.mark.parametrize("how", ["answer", "raise"])
@pytest.mark.parametrize("call", range(TENSORRT_CALLS))
def test_engine_survives_a_failing_call_of_tensorrt(
    double: TensorrtDouble,
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    expected: list[NDArray[np.float32]],
    call: int,
    how: Literal["answer", "raise"],
) -> None:
    double.fail_how = how
    double.reset_calls(fail_at=call)

    outcome = attempt(contract, device, crops, expected)

    assert_failed_cleanly(outcome, double.calls[call])
    assert_nothing_is_left(double, device)


@pytest.mark.parametrize("call", range(CUDA_CALLS))
def test_engine_survives_a_failing_call_of_cuda(
    double: TensorrtDouble,
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    expected: list[NDArray[np.float32]],
    call: int,
) -> None:
    device.fail_at = call

    outcome = attempt(contract, device, crops, expected)

    assert_failed_cleanly(outcome, device.calls[call])
    assert_nothing_is_left(double, device)


def assert_failed_cleanly(outcome: str, failed: str) -> None:
    is_told = "the double was told to fail" in outcome or "returned nullptr" in outcome
    assert is_told or (outcome == "right" and failed in NO_ERROR), (outcome, failed)
