"""Plans of the double, and what runs them."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from facealign.runtime.tensorrt.build import GraphToBuild
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.spec import WFLW98, contract_input, contract_outputs
from tests.doubles.cuda.fixtures import cuda
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import Plan, TensorrtDouble, bytes_from_plan
from tests.unit.runtime.tensorrt.made_graphs import to_build

__all__ = ["MAX_BATCH", "SIZE_PX", "Install", "cuda", "plan_of"]

SIZE_PX = 16
MAX_BATCH = 4

Install = Callable[..., TensorrtDouble]


@pytest.fixture(scope="module", autouse=True)
def _fast(fast_collection: None) -> None:
    """Objects are counted once the garbage is gone, in most tests here."""


@pytest.fixture
def device() -> HostDevice:
    return HostDevice()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes a double stand for `tensorrt`."""

    def put(device: HostDevice | None, version: str = "10.3") -> TensorrtDouble:
        double = TensorrtDouble(version, device)
        monkeypatch.setitem(sys.modules, "tensorrt", double.module)
        return double

    return put


@pytest.fixture
def double(device: HostDevice, install: Install) -> TensorrtDouble:
    return install(device)


def plan_of(
    graph: bytes, *, version: str = "10.3", max_batch: int = MAX_BATCH, size_px: int = SIZE_PX
) -> bytes:
    """Return the double's plan of a graph that takes crops, as a build would make it."""
    shapes = [[batch, size_px, size_px, 3] for batch in (1, 1, max_batch)]
    return bytes_from_plan(Plan(version, graph, [{"image": shapes}], {}))


@pytest.fixture
def graph(tiny_graph: bytes) -> GraphToBuild:
    return to_build(tiny_graph)


@pytest.fixture
def contract(tiny_graph: bytes) -> PlanContract:
    return PlanContract(
        data=plan_of(tiny_graph),
        inputs=(contract_input(SIZE_PX),),
        outputs=contract_outputs(WFLW98.landmark_count),
        max_batch=MAX_BATCH,
        name="tiny.plan",
    )
