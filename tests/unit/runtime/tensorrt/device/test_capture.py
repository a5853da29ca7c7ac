"""What every back captures, on the libcuda double; `test_pycuda_device.py` runs these on pycuda."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, Stream
from tests.doubles.cuda import Double
from tests.unit.runtime.tensorrt.device.round_trip import RoundTrip, in_another_thread


def test_capture_runs_nothing(device: Device) -> None:
    trip = RoundTrip(device)

    device.capture(trip.stream, trip.enqueue)
    trip.stream.synchronize()

    assert not trip.has_run()


def test_a_graph_runs_what_was_captured_every_time(device: Device) -> None:
    trip = RoundTrip(device)
    graph = device.capture(trip.stream, trip.enqueue)

    graph.launch(trip.stream)
    trip.stream.synchronize()
    once = trip.has_run()
    trip.source.array[:] = 7
    graph.launch(device.stream())
    graph.launch(trip.stream)
    trip.stream.synchronize()

    assert once
    assert trip.has_run()


def test_a_graph_may_hold_what_another_library_queues(cuda: Double, device: Device) -> None:
    stream, runs, answers = device.stream(), [], []
    device.make_current()

    graph = device.capture(
        stream, lambda: answers.append(cuda.enqueue(stream.handle, lambda: runs.append(1)))
    )
    graph.launch(stream)
    graph.launch(stream)
    stream.synchronize()

    assert answers == [0]
    assert runs == [1, 1]


def test_what_enqueue_raises_goes_through_and_the_stream_stays(
    cuda: Double, device: Device
) -> None:
    trip = RoundTrip(device)

    def fail() -> None:
        trip.enqueue()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        device.capture(trip.stream, fail)
    trip.enqueue()
    trip.stream.synchronize()

    assert trip.has_run()
    assert cuda.live("graph") == 0


def wait(device: Device, stream: Stream) -> None:
    del device
    stream.synchronize()


def allocate(device: Device, stream: Stream) -> None:
    del stream
    device.device_buffer(8)


@pytest.mark.parametrize("unsafe", [wait, allocate])
def test_what_cannot_be_captured_is_an_error_and_the_stream_stays(
    cuda: Double, device: Device, unsafe: Callable[[Device, Stream], None]
) -> None:
    trip = RoundTrip(device)

    with pytest.raises(BackendError, match=r"failed: .*(not permitted when stream is capturing|9)"):
        device.capture(trip.stream, lambda: unsafe(device, trip.stream))
    trip.enqueue()
    trip.stream.synchronize()

    assert trip.has_run()
    assert cuda.live("graph") + cuda.live("graph_exec") == 0


def test_another_thread_may_allocate_during_a_capture(device: Device) -> None:
    trip = RoundTrip(device)

    def enqueue() -> None:
        trip.enqueue()
        in_another_thread(lambda: device.device_buffer(8).close())

    graph = device.capture(trip.stream, enqueue)
    graph.launch(trip.stream)
    trip.stream.synchronize()

    assert trip.has_run()
