"""The device layer: copies, events, capture and replay, and that nothing grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, Stream
from facealign.runtime.tensorrt.plugins.launch import PatchCropKernel, kernel_source
from facealign.runtime.tensorrt.plugins.reference import crop_patches
from tests.device.machine import Machine
from tests.device.replayed import Replayed
from tests.patch_crop import case

SIZE = 1 << 20
SOAK_RUNS = 2000
WARM_UP_RUNS = 20
# Others may use the GPU, too; one run's buffers, kept 2000 times, would be 90 MB.
SLACK_BYTES = 32 << 20
TOLERANCE = 1e-3  # of maps within 1


@pytest.fixture
def stream(device: Device) -> Iterator[Stream]:
    with closing(device.stream()) as opened:
        yield opened


@pytest.fixture
def kernel(machine: Machine, device: Device) -> PatchCropKernel:
    return PatchCropKernel(device, machine.image(kernel_source(), device.info))


def test_device_says_what_it_is(device: Device) -> None:
    info = device.info

    assert info.name
    assert info.compute_capability >= (5, 0)
    assert info.memory_bytes > 1 << 28
    assert info.driver_version >= (11, 4)


def test_copies_come_back_as_they_went(
    device: Device, stream: Stream, rng: np.random.Generator
) -> None:
    there, back = device.pinned_buffer(SIZE), device.pinned_buffer(SIZE)
    memory = device.device_buffer(SIZE)
    there.array[:] = rng.integers(0, 256, SIZE, dtype=np.uint8)

    device.copy_to_device(memory.address, there, size=SIZE, stream=stream)
    device.copy_to_host(back, memory.address, size=SIZE, stream=stream)
    stream.synchronize()

    np.testing.assert_array_equal(back.array, there.array)


def test_mapped_memory_is_seen_by_the_device(
    device: Device, stream: Stream, rng: np.random.Generator
) -> None:
    mapped, back = device.pinned_buffer(SIZE, mapped=True), device.pinned_buffer(SIZE)
    mapped.array[:] = rng.integers(0, 256, SIZE, dtype=np.uint8)
    assert mapped.device_address is not None

    device.copy_to_host(back, mapped.device_address, size=SIZE, stream=stream)
    stream.synchronize()

    np.testing.assert_array_equal(back.array, mapped.array)


def test_events_measure_time(device: Device, stream: Stream) -> None:
    start, end = device.event(timing=True), device.event(timing=True)
    host, memory = device.pinned_buffer(SIZE), device.device_buffer(SIZE)

    start.record(stream)
    device.copy_to_device(memory.address, host, size=SIZE, stream=stream)
    end.record(stream)
    end.synchronize()

    assert 0 <= end.elapsed_ms(start) < 60_000


def test_a_replayed_graph_reads_what_is_there_now(
    device: Device, kernel: PatchCropKernel, rng: np.random.Generator
) -> None:
    first, second = case("random", rng), case("border", rng)

    with closing(Replayed(device, kernel, *first)) as replayed:
        found = [replayed.run(*inputs) for inputs in (first, second, first)]

    np.testing.assert_allclose(found[0], crop_patches(*first), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(found[1], crop_patches(*second), atol=TOLERANCE, rtol=0)
    np.testing.assert_array_equal(found[2], found[0])


def test_a_failed_capture_leaves_the_stream_as_it_was(
    device: Device, stream: Stream, rng: np.random.Generator
) -> None:
    there, back = device.pinned_buffer(SIZE), device.pinned_buffer(SIZE)
    memory = device.device_buffer(SIZE)
    there.array[:] = rng.integers(0, 256, SIZE, dtype=np.uint8)

    with pytest.raises(BackendError):
        device.capture(stream, stream.synchronize)  # a wait cannot be captured
    device.copy_to_device(memory.address, there, size=SIZE, stream=stream)
    device.copy_to_host(back, memory.address, size=SIZE, stream=stream)
    stream.synchronize()

    np.testing.assert_array_equal(back.array, there.array)


def test_thousands_of_replays_take_no_memory_and_stay_the_same(
    machine: Machine, device: Device, kernel: PatchCropKernel, rng: np.random.Generator
) -> None:
    inputs = case("random", rng)

    with closing(Replayed(device, kernel, *inputs)) as replayed:
        first = [replayed.run(*inputs) for _ in range(WARM_UP_RUNS)].pop()
        before = machine.free_bytes(device)
        differing = sum(not np.array_equal(replayed.run(*inputs), first) for _ in range(SOAK_RUNS))
        taken = before - machine.free_bytes(device)

    assert differing == 0
    assert taken < SLACK_BYTES


def test_opening_and_closing_takes_no_memory(
    machine: Machine, device: Device, kernel: PatchCropKernel, rng: np.random.Generator
) -> None:
    inputs = case("random", rng)
    Replayed(device, kernel, *inputs).close()
    before = machine.free_bytes(device)

    for _ in range(WARM_UP_RUNS):
        Replayed(device, kernel, *inputs).close()

    assert before - machine.free_bytes(device) < SLACK_BYTES
