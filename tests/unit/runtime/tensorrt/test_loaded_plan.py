from __future__ import annotations

import gc
import sys
from dataclasses import replace
from typing import Any

import pytest

from facealign.errors import BackendError, GraphContractError
from facealign.runtime.tensorrt.loaded_plan import load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.spec import TensorSpec, contract_input, contract_outputs
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import SIZE_PX, Install, plan_of

FOUND = r"`tiny\.plan` must have "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": (contract_input(32),)}, r"`image` \('B', 32, 32, 3\), got \(-1, 16, 16, 3\)"),
        (
            {"inputs": (TensorSpec("image", "float32", ("B", SIZE_PX, SIZE_PX, 3)),)},
            r"`image` as \('FLOAT', 'DEVICE', 'LINEAR'\), got \('UINT8', 'DEVICE', 'LINEAR'\)",
        ),
        ({"outputs": contract_outputs(68)}, r"`landmarks` \('B', 68, 2\), got \(-1, 98, 2\)"),
        (
            {"outputs": contract_outputs(98, ("pose",))},
            r"the tensors \['image', 'landmarks', 'pose'\], got \['image', 'landmarks'\]",
        ),
        ({"inputs": contract_outputs(98), "outputs": (contract_input(16),)}, r"`\w+` as input"),
        ({"inputs": ()}, "1 input, got 0"),
        ({"max_batch": 8}, "`image` for batches 1 to 8, got 1 to 4"),
    ],
    ids=["size", "type", "count", "name", "mode", "inputs", "batch"],
)
@pytest.mark.usefixtures("double")
def test_load_plan_refuses_a_plan_that_breaks_its_contract(
    device: HostDevice, contract: PlanContract, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(GraphContractError, match=FOUND + message):
        load_plan(replace(contract, **change), device)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"rubbish", "kPLAN_MAGIC_TAG failed"),
        (b"", "kPLAN_MAGIC_TAG failed"),
    ],
    ids=["rubbish", "empty"],
)
@pytest.mark.usefixtures("double")
def test_load_plan_says_what_tensorrt_says_of_other_bytes(
    device: HostDevice, contract: PlanContract, data: bytes, message: str
) -> None:
    with pytest.raises(BackendError, match=r"TensorRT cannot open `tiny\.plan`: .*" + message):
        load_plan(replace(contract, data=data), device)


def test_load_plan_says_that_a_plan_is_of_another_version(
    install: Install, device: HostDevice, contract: PlanContract, tiny_graph: bytes
) -> None:
    install(device, "11.4")
    older = replace(contract, data=plan_of(tiny_graph, version="10.3"))

    with pytest.raises(BackendError, match=r"expecting library version 11\.4 got 10\.3, please"):
        load_plan(older, device)


@pytest.mark.parametrize("closes_device", [False, True])
def test_load_plan_leaves_nothing_when_it_fails(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, closes_device: bool
) -> None:
    with pytest.raises(GraphContractError):
        load_plan(replace(contract, max_batch=8), device, closes_device=closes_device)
    gc.collect()

    assert double.objects_alive() == {}
    assert device.is_closed == closes_device


def test_load_plan_says_what_to_install_where_tensorrt_is_absent(
    monkeypatch: pytest.MonkeyPatch, device: HostDevice, contract: PlanContract
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)

    with pytest.raises(BackendError, match=r'TensorRT is not installed; .*"facealign\[trt\]"'):
        load_plan(contract, device, closes_device=True)

    assert device.is_closed
