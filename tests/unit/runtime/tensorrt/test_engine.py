from __future__ import annotations

import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.bundle import Golden
from facealign.errors import BackendError, ShapeError, UsageError
from facealign.runtime.tensorrt.engine import TensorrtEngine, Ticket, engine_from_plan
from facealign.runtime.tensorrt.loaded_plan import load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.slot import Slot
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import VERSIONS, TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import MAX_BATCH, SIZE_PX, Install, plan_of

# Both run the same graph in ONNX Runtime; measured 6e-8 of a crop against numpy.
TOLERANCE = 1e-5

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (MAX_BATCH, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("is_integrated", [False, True], ids=["discrete", "integrated"])
def test_run_gives_the_landmarks_of_the_graph(
    install: Install,
    contract: PlanContract,
    tiny_graph: bytes,
    tiny_golden: Golden,
    version: str,
    is_integrated: bool,
) -> None:
    device = HostDevice(is_integrated=is_integrated)
    install(device, version)
    contract = PlanContract(
        plan_of(tiny_graph, version=version), contract.inputs, contract.outputs, MAX_BATCH
    )
    engine = engine_from_plan(contract, device)

    runs = [engine.run(tiny_golden.crops)["landmarks"] for _ in range(3)]
    engine.close()

    for landmarks in runs:
        np.testing.assert_allclose(landmarks, tiny_golden.landmarks, atol=TOLERANCE)
    assert device.things_alive() == {}


def test_run_gives_each_batch_size_its_own_landmarks(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    whole = engine.run(crops)["landmarks"]

    parts = [engine.run(crops[:batch])["landmarks"] for batch in (1, 2, 3, 2, 1, 4)]

    for part in parts:
        np.testing.assert_allclose(part, whole[: len(part)], atol=TOLERANCE)


def test_run_replays_a_graph_from_the_second_run_on(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    engine.run(crops)
    double.reset_calls()
    device.calls.clear()

    engine.run(crops)

    assert double.calls == []
    assert device.calls == [
        "cuCtxSetCurrent",
        "cuMemcpyHtoDAsync",
        "cuGraphLaunch",
        "cuStreamSynchronize",
    ]


def test_engine_keeps_a_context_unchanged_once_its_graph_is_captured(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    engine.warm_up([1, MAX_BATCH])

    engine.run(crops)

    assert double.live["IExecutionContext"] == 4  # two batch sizes in two slots
    assert double.calls.count("IExecutionContext.set_input_shape") == 4


def test_engine_makes_no_copies_on_an_integrated_gpu(
    install: Install, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    device = HostDevice(is_integrated=True)
    install(device)
    engine = engine_from_plan(contract, device)

    engine.run(crops)

    assert not [call for call in device.calls if call.startswith("cuMemcpy")]
    assert device.created["device"] == 2  # scratch memory only


def test_engine_queues_one_by_one_and_says_so_once_when_capture_fails(
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture,
) -> None:
    device.can_capture = False
    engine = engine_from_plan(contract, device)

    with caplog.at_level(logging.WARNING):
        runs = [engine.run(crops[:batch])["landmarks"] for batch in (2, 2, 1)]

    np.testing.assert_array_equal(runs[0], runs[1])
    (record,) = caplog.records
    assert record.message == (
        "runs are queued one by one, as CUDA captures no graph: cuStreamEndCapture failed: "
        "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"
    )


def test_engine_captures_nothing_without_graphs(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device, uses_graphs=False)

    engine.run(crops)
    engine.run(crops)

    assert device.created["graph"] == 0
    assert double.calls.count("IExecutionContext.execute_async_v3") == 2


def test_run_gives_arrays_that_the_next_run_leaves_alone(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    first = engine.run(crops)["landmarks"]
    kept = first.copy()

    engine.run(255 - crops)

    np.testing.assert_array_equal(first, kept)


def test_collect_gives_what_was_submitted_in_any_order(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    expected = [engine.run(part)["landmarks"] for part in (crops[:1], crops[1:])]

    tickets = [engine.submit(part) for part in (crops[:1], crops[1:])]
    found = [engine.collect(ticket)["landmarks"] for ticket in reversed(tickets)]

    np.testing.assert_array_equal(found[0], expected[1])
    np.testing.assert_array_equal(found[1], expected[0])


def test_submit_lets_the_caller_reuse_its_crops(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    expected = engine.run(crops)["landmarks"]

    ticket = engine.submit(crops)
    crops[...] = 0

    np.testing.assert_array_equal(engine.collect(ticket)["landmarks"], expected)


def test_submit_does_not_wait(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    engine.warm_up([MAX_BATCH])
    before = double.executions

    engine.submit(crops)

    assert double.executions == before  # the double runs nothing before somebody waits


@pytest.mark.parametrize("name", ["run", "submit"])
def test_engine_refuses_a_third_run_when_two_wait_to_be_collected(
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    name: str,
) -> None:
    engine = engine_from_plan(contract, device)
    engine.submit(crops)
    engine.submit(crops)

    with pytest.raises(UsageError, match="2 runs wait to be collected; collect one first"):
        getattr(engine, name)(crops)


def test_collect_refuses_a_ticket_twice(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    ticket = engine.submit(crops)
    engine.collect(ticket)

    with pytest.raises(UsageError, match=r"nothing to collect for Ticket\(number=\d+\)"):
        engine.collect(ticket)


def test_collect_refuses_the_ticket_of_another_engine(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engines = [engine_from_plan(contract, device) for _ in range(2)]
    tickets = [engine.submit(crops) for engine in engines]

    with pytest.raises(UsageError, match="nothing to collect"):
        engines[0].collect(tickets[1])


def test_warm_up_refuses_to_wait_for_what_its_own_thread_submitted(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    ticket = engine.submit(crops)

    with pytest.raises(UsageError, match="1 of 2 runs wait to be collected; collect one first"):
        engine.warm_up([1])

    engine.collect(ticket)
    engine.warm_up([1])
    assert engine.graph_batches == {1}


def test_of_threads_that_wait_for_one_another_one_is_refused(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    have_one = threading.Barrier(2)

    def work(_: int) -> str:
        tickets = [engine.submit(crops)]
        have_one.wait(10)
        outcome = "went on"
        try:
            tickets.append(engine.submit(crops))
        except UsageError:
            outcome = "was refused"
        for ticket in tickets:
            engine.collect(ticket)
        return outcome

    with ThreadPoolExecutor(2) as pool:
        outcomes = sorted(pool.map(work, range(2)))

    assert outcomes == ["was refused", "went on"]


@pytest.mark.parametrize(
    "shape", [(0, SIZE_PX, SIZE_PX, 3), (5, SIZE_PX, SIZE_PX, 3), (1, 3, SIZE_PX, SIZE_PX)]
)
def test_run_refuses_other_shapes(
    device: HostDevice, contract: PlanContract, shape: tuple[int, ...]
) -> None:
    engine = engine_from_plan(contract, device)

    with pytest.raises(ShapeError, match=r"\(B, 16, 16, 3\) uint8 with B from 1 to 4, got"):
        engine.run(np.zeros(shape, np.uint8))


def test_run_refuses_other_types(device: HostDevice, contract: PlanContract) -> None:
    engine = engine_from_plan(contract, device)

    with pytest.raises(ShapeError, match=r"got .* float32"):
        engine.run(np.zeros((1, SIZE_PX, SIZE_PX, 3), np.float32))


@pytest.mark.parametrize(
    "use",
    [
        lambda engine, crops: engine.run(crops),
        lambda engine, crops: engine.submit(crops),
        lambda engine, _: engine.collect(Ticket(0)),
        lambda engine, _: engine.warm_up([1]),
    ],
    ids=["run", "submit", "collect", "warm_up"],
)
def test_engine_refuses_everything_once_closed(
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    use: object,
) -> None:
    engine = engine_from_plan(contract, device)
    engine.close()

    with pytest.raises(UsageError, match="the engine is closed; open a new one"):
        use(engine, crops)  # type: ignore[operator]  # a function


def test_close_frees_contexts_before_memory_and_the_engine_last(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    freed: list[str] = []
    double.on_free = device.on_free = freed.append
    engine = engine_from_plan(contract, device)
    engine.run(crops)
    engine.submit(crops)

    engine.close()
    engine.close()

    slot = ["device", "pinned", "device", "pinned", "device", "stream"]
    assert [name for name in freed if name not in {"ILogger", "IErrorRecorder", "Dims"}] == [
        *["graph", "IExecutionContext", *slot],
        *slot,  # the other slot has not run
        *["ICudaEngine", "Runtime"],
    ]


def test_close_frees_everything(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    engine.warm_up(range(1, MAX_BATCH + 1))
    engine.submit(crops)

    engine.close()
    del engine
    gc.collect()

    assert device.things_alive() == {}
    assert double.objects_alive() == {}


def test_close_ends_the_wait_of_other_threads(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    engine.submit(crops)
    engine.submit(crops)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(engine.run, crops)
        engine.close()
        error = waiting.exception(timeout=10)

    assert isinstance(error, UsageError)


def test_close_voids_what_another_thread_is_submitting(
    device: HostDevice,
    contract: PlanContract,
    crops: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engine_from_plan(contract, device)
    start, has_started, may_return = Slot.start, threading.Event(), threading.Event()

    def slow_start(slot: Slot, crops: NDArray[np.uint8]) -> None:
        start(slot, crops)
        has_started.set()
        may_return.wait(10)

    monkeypatch.setattr(Slot, "start", slow_start)

    with ThreadPoolExecutor(2) as pool:
        submitting = pool.submit(engine.submit, crops)
        has_started.wait(10)
        closing = pool.submit(engine.close)
        wait_until_closed(engine)
        may_return.set()
        closing.result(timeout=10)
        error = submitting.exception(timeout=10)

    assert isinstance(error, UsageError)
    assert device.things_alive() == {}


def wait_until_closed(engine: TensorrtEngine) -> None:
    said = ""
    while "is closed" not in said:
        with pytest.raises(UsageError) as raised:
            engine.collect(Ticket(-1))
        said = str(raised.value)


def test_run_works_from_several_threads_at_once(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device)
    expected = engine.run(crops)["landmarks"]
    start = threading.Barrier(4)

    def work(seed: int) -> list[bool]:
        order = np.random.default_rng(seed).permutation(MAX_BATCH)
        start.wait()
        runs = [engine.run(crops[order[: 1 + i % 4]])["landmarks"] for i in range(25)]
        return [
            np.allclose(run, expected[order[: len(run)]], rtol=0, atol=TOLERANCE) for run in runs
        ]

    with ThreadPoolExecutor(4) as pool:
        results = [result for results in pool.map(work, range(4)) for result in results]

    assert all(results)
    assert len(results) == 100


def test_engines_share_one_plan_and_the_last_frees_it(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    plan = load_plan(contract, device)
    engines = [TensorrtEngine(plan) for _ in range(2)]
    plan.close()
    engines[0].run(crops)

    engines[0].close()
    landmarks = engines[1].run(crops)["landmarks"]

    assert double.created["ICudaEngine"] == 1
    assert landmarks.shape == (MAX_BATCH, 98, 2)
    engines[1].close()
    assert double.live["ICudaEngine"] == 0


def test_a_closed_plan_gives_no_more_engines(device: HostDevice, contract: PlanContract) -> None:
    plan = load_plan(contract, device)
    plan.close()

    with pytest.raises(UsageError, match="the plan is closed; load it again"):
        TensorrtEngine(plan)


def test_two_engines_live_side_by_side(
    device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engines = [engine_from_plan(contract, device) for _ in range(2)]
    expected = engines[0].run(crops)["landmarks"]

    tickets = [engine.submit(crops) for engine in engines]
    found = [
        engine.collect(ticket)["landmarks"] for engine, ticket in zip(engines, tickets, strict=True)
    ]
    engines[0].close()

    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], expected)
    np.testing.assert_array_equal(engines[1].run(crops)["landmarks"], expected)


def test_run_says_what_tensorrt_says_and_goes_on_after_it(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract, crops: NDArray[np.uint8]
) -> None:
    engine = engine_from_plan(contract, device, uses_graphs=False)
    expected = engine.run(crops)["landmarks"]
    double.reset_calls(fail_at=0)

    with pytest.raises(
        BackendError,
        match=r"TensorRT cannot run the plan: INTERNAL_ERROR: the double was told to fail "
        r"`IExecutionContext\.execute_async_v3`$",
    ):
        engine.run(crops)

    np.testing.assert_array_equal(engine.run(crops)["landmarks"], expected)


def test_engine_closes_a_device_that_it_was_given(
    device: HostDevice, contract: PlanContract
) -> None:
    engine = engine_from_plan(contract, device, closes_device=True)

    engine.close()

    assert device.is_closed
