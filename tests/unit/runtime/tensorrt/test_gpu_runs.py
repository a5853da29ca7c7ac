from __future__ import annotations

import numpy as np
import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.gpu_runs import gpu_runs
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.doubles.host_device import HostDevice
from tests.unit.runtime.tensorrt.conftest import SIZE_PX, Install

_CROPS = np.zeros((2, SIZE_PX, SIZE_PX, 3), np.uint8)
_TICK_MS = 1.0  # between any two events of the double


@pytest.mark.usefixtures("double")
def test_gpu_runs_takes_every_run_apart(device: HostDevice, contract: PlanContract) -> None:
    engine = engine_from_plan(contract, device)

    found = gpu_runs(engine, _CROPS, count=5)

    assert len(found.runs) == 5
    assert {(run.h2d_ms, run.compute_ms, run.d2h_ms) for run in found.runs} == {(_TICK_MS,) * 3}
    assert all(run.enqueue_ms > 0 for run in found.runs)
    assert (found.cuda_graph, found.spin_wait, found.data_transfers) == (True, True, True)


@pytest.mark.usefixtures("double")
def test_gpu_runs_has_the_copies_outside_of_the_graph(
    device: HostDevice, contract: PlanContract
) -> None:
    engine = engine_from_plan(contract, device)
    before = len(device.calls)

    gpu_runs(engine, _CROPS, count=1)

    last = [call for call in device.calls[before:] if "Event" not in call or "Record" in call]
    run = last[last.index("cuGraphLaunch", -20) - 3 :]
    assert run[:7] == [
        "cuEventRecord",
        "cuMemcpyHtoDAsync",
        "cuEventRecord",
        "cuGraphLaunch",
        "cuEventRecord",
        "cuMemcpyDtoHAsync",
        "cuEventRecord",
    ]


@pytest.mark.usefixtures("double")
def test_gpu_runs_says_where_no_graph_was_captured(
    device: HostDevice, contract: PlanContract
) -> None:
    device.can_capture = False
    engine = engine_from_plan(contract, device)

    found = gpu_runs(engine, _CROPS, count=1)

    assert not found.cuda_graph


def test_gpu_runs_needs_no_copies_where_memory_is_shared(
    install: Install, contract: PlanContract
) -> None:
    device = HostDevice(is_integrated=True)
    install(device)
    engine = engine_from_plan(contract, device)

    found = gpu_runs(engine, _CROPS, count=1)

    assert (found.spin_wait, found.data_transfers) == (False, False)
    assert not [call for call in device.calls if "Memcpy" in call]


@pytest.mark.usefixtures("double")
def test_gpu_runs_frees_what_it_made_and_leaves_the_engine_open(
    device: HostDevice, contract: PlanContract
) -> None:
    engine = engine_from_plan(contract, device)
    before = device.things_alive()

    gpu_runs(engine, _CROPS, count=2)

    assert device.things_alive() == before
    assert engine.run(_CROPS)["landmarks"].shape == (2, 98, 2)
    engine.close()
    assert device.things_alive() == {}


@pytest.mark.usefixtures("double")
def test_gpu_runs_frees_what_it_made_when_a_call_fails(
    device: HostDevice, contract: PlanContract
) -> None:
    engine = engine_from_plan(contract, device)
    before = device.things_alive()
    device.fail_at = len(device.calls) + 40

    with pytest.raises(BackendError, match="the double was told to fail"):
        gpu_runs(engine, _CROPS, count=5)

    assert device.things_alive() == before
