"""Ten thousand runs in one session: nothing grows, and nothing is allocated after the first."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

import facealign
from facealign.bundle import Manifest
from facealign.runtime.session import Session
from facealign.runtime.tensorrt.device import open_device
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.doubles.cuda import Double
from tests.doubles.host_device import HostDevice
from tests.doubles.libcuda_memory import LibcudaMemory
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import SIZE_PX

T = TypeVar("T")
RUNS = 10_000
WARM_UP = 50
# Memory that our code and numpy hold; measured 0 to 1 kB, which is of the last run.
GROWTH_BYTES = 8192
OURS = [
    tracemalloc.Filter(inclusive=True, filename_pattern=f"{Path(package.__path__[0])}/*")
    for package in (facealign, np)
]
BOXES = np.array([[10.2, 8.7, 40.1, 39.0], [20, 20, 50, 52]])


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held_bytes() -> int:
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(OURS)
    return sum(statistic.size for statistic in snapshot.statistics("filename"))


@pytest.mark.usefixtures("double", "traced")
def test_ten_thousand_runs_hold_no_more_memory_than_fifty(
    device: HostDevice, contract: PlanContract, rng: np.random.Generator
) -> None:
    crops = rng.integers(0, 256, (2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    engine = engine_from_plan(contract, device)
    run_often(engine.run, crops, WARM_UP)
    before, created = held_bytes(), dict(device.created)

    run_often(engine.run, crops, RUNS)
    grown = held_bytes() - before
    engine.close()

    assert grown <= GROWTH_BYTES
    assert dict(device.created) == created


def test_ten_thousand_runs_of_a_session_allocate_nothing_on_the_device(
    double: TensorrtDouble,
    cuda: Double,
    contract: PlanContract,
    tiny_manifest: Manifest,
    frame: NDArray[np.uint8],
) -> None:
    double.cuda = LibcudaMemory(cuda)
    engine = engine_from_plan(contract, open_device(library=str(cuda.path)), closes_device=True)
    with Session(engine, tiny_manifest) as session:
        first = session.run(frame, BOXES)
        run_often(lambda boxes: session.run(frame, boxes), BOXES, 2)
        allocations, live, bytes_then = state_of(cuda)

        run_often(lambda boxes: session.run(frame, boxes), BOXES, RUNS)
        last = session.run(frame, BOXES)

        assert state_of(cuda) == (allocations, live, bytes_then)
    np.testing.assert_array_equal(last.xy, first.xy)
    assert cuda.live() == 0


def run_often(run: Callable[[T], object], argument: T, count: int) -> None:
    for _ in range(count):
        run(argument)


def state_of(cuda: Double) -> tuple[int, int, int]:
    return cuda.counter("allocations"), cuda.live(), cuda.counter("live_bytes")
