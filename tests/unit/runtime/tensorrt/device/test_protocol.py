"""What every back does, on the libcuda double; `test_pycuda_device.py` runs these on pycuda."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.kernels import compiled_kernels
from tests.doubles.cuda import Double, NvrtcDouble
from tests.unit.runtime.tensorrt.device.round_trip import RoundTrip, in_another_thread

FILL = """
extern "C" __global__ void fill(int* out, int count, int first, float step, double scale) {
  int index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) out[index] = (int)((first + step * index) * scale);
}
"""


@pytest.fixture
def image(device: Device, nvrtc: NvrtcDouble) -> bytes:
    return compiled_kernels(FILL, device.info, library=str(nvrtc.path))


def test_info_tells_the_device(cuda: Double, device: Device) -> None:
    assert device.info.name == "CUDA double"
    assert device.info.compute_capability == (8, 7)
    assert device.info.driver_version == (12, 6)
    assert device.info.memory_bytes == 8 << 30
    assert not device.info.is_integrated
    assert cuda.live("context") == 1


def test_a_copy_there_and_back_gives_the_bytes(device: Device) -> None:
    trip = RoundTrip(device)

    trip.enqueue()
    trip.stream.synchronize()

    assert trip.has_run()


def test_a_copy_runs_when_someone_waits(device: Device) -> None:
    trip = RoundTrip(device)

    trip.enqueue()

    assert not trip.has_run()


def test_a_copy_may_be_of_less_than_the_buffer(device: Device) -> None:
    trip = RoundTrip(device)

    device.copy_to_device(trip.buffer.address, trip.source, size=64, stream=trip.stream)
    device.copy_to_host(trip.target, trip.buffer.address + 8, size=4, stream=trip.stream)
    trip.stream.synchronize()

    assert trip.target.array[:5].tolist() == [8, 9, 10, 11, 0]


@pytest.mark.parametrize("size", [0, 65])
def test_a_copy_beyond_the_buffer_is_refused(device: Device, size: int) -> None:
    trip = RoundTrip(device)

    with pytest.raises(ValueError, match=rf"`size` must be 1 to 64, the buffer's, got {size}"):
        device.copy_to_device(trip.buffer.address, trip.source, size=size, stream=trip.stream)
    with pytest.raises(ValueError, match=rf"`size` must be 1 to 64, the buffer's, got {size}"):
        device.copy_to_host(trip.target, trip.buffer.address, size=size, stream=trip.stream)


def test_a_copy_beyond_the_memory_of_the_device_is_cudas_error(device: Device) -> None:
    trip = RoundTrip(device)

    with pytest.raises(BackendError, match=r"`cuMemcpyHtoDAsync(_v2)?` failed: .*invalid"):
        device.copy_to_device(trip.buffer.address + 8, trip.source, size=64, stream=trip.stream)


def test_a_stream_does_not_wait_for_the_default_one(cuda: Double, device: Device) -> None:
    device.stream()

    assert cuda.live("stream") == 1
    assert cuda.counter("blocking_streams") == 0


@pytest.mark.parametrize("mapped", [False, True])
def test_pinned_memory_is_so_for_every_context(
    cuda: Double, device: Device, *, mapped: bool
) -> None:
    device.pinned_buffer(8, mapped=mapped)

    assert cuda.live("host_memory") == 1
    assert cuda.counter("unportable") == 0


@pytest.mark.parametrize("mapped", [False, True])
def test_pinned_memory_is_all_0(device: Device, *, mapped: bool) -> None:
    buffer = device.pinned_buffer(4097, mapped=mapped)

    assert buffer.array.dtype == np.uint8
    assert buffer.array.shape == (4097,)
    assert not buffer.array.any()


def test_mapped_memory_is_what_the_device_sees(device: Device) -> None:
    mapped, plain = device.pinned_buffer(8, mapped=True), device.pinned_buffer(8)
    stream = device.stream()
    mapped.array[:] = range(8)

    assert mapped.device_address is not None
    device.copy_to_host(plain, mapped.device_address, size=8, stream=stream)
    stream.synchronize()

    assert np.array_equal(plain.array, mapped.array)


def test_memory_that_is_not_mapped_has_no_address(device: Device) -> None:
    assert device.pinned_buffer(8).device_address is None


@pytest.mark.parametrize("size", [0, -1])
def test_memory_of_no_size_is_refused(device: Device, size: int) -> None:
    with pytest.raises(ValueError, match=rf"`size` must be 1 or more, got {size}"):
        device.device_buffer(size)
    with pytest.raises(ValueError, match=rf"`size` must be 1 or more, got {size}"):
        device.pinned_buffer(size)


def test_an_event_waits_for_what_came_before_it(device: Device) -> None:
    first, second = RoundTrip(device), RoundTrip(device)
    event = device.event()
    first.enqueue()
    event.record(first.stream)
    second.stream = first.stream
    second.enqueue()

    event.synchronize()

    assert first.has_run()
    assert not second.has_run()


def test_an_event_that_was_never_set_does_not_wait(device: Device) -> None:
    trip, event = RoundTrip(device), device.event()
    trip.enqueue()

    event.synchronize()

    assert not trip.has_run()


def test_time_between_events_is_told(device: Device) -> None:
    trip, start, end = RoundTrip(device), device.event(timing=True), device.event(timing=True)
    start.record(trip.stream)
    trip.enqueue()
    end.record(trip.stream)
    end.synchronize()

    assert end.elapsed_ms(start) > 0
    assert start.elapsed_ms(end) < 0


def test_an_event_without_timing_has_no_time(device: Device) -> None:
    stream, start, end = device.stream(), device.event(), device.event()
    start.record(stream)
    end.record(stream)
    end.synchronize()

    with pytest.raises(BackendError, match=r"`cuEventElapsedTime` failed: .*invalid"):
        end.elapsed_ms(start)


def test_time_since_something_else_is_refused(device: Device) -> None:
    with pytest.raises(TypeError, match=f"`since` must be an event of the back `{device.back}`"):
        device.event(timing=True).elapsed_ms(object())  # type: ignore[arg-type]  # on purpose


def test_a_kernel_gets_its_arguments(device: Device, image: bytes) -> None:
    stream, out = device.stream(), device.pinned_buffer(10 * 4, mapped=True)
    kernel = device.kernel(image, "fill")
    assert out.device_address is not None
    arguments = (
        ctypes.c_void_p(out.device_address),
        ctypes.c_int32(10),
        ctypes.c_int32(-3),
        ctypes.c_float(0.5),
        ctypes.c_double(2.0),
    )

    kernel.launch(stream, grid=(3, 1, 1), block=(4, 1, 1), arguments=arguments)
    stream.synchronize()

    assert out.array.view(np.int32).tolist() == [index - 6 for index in range(10)]


def test_arguments_are_read_before_launch_returns(device: Device, image: bytes) -> None:
    stream, out = device.stream(), device.pinned_buffer(4, mapped=True)
    kernel, first = device.kernel(image, "fill"), ctypes.c_int32(5)
    assert out.device_address is not None
    where, one = ctypes.c_void_p(out.device_address), ctypes.c_int32(1)
    rest = (ctypes.c_float(1), ctypes.c_double(1))

    kernel.launch(stream, grid=(1, 1, 1), block=(1, 1, 1), arguments=(where, one, first, *rest))
    first.value = 6
    stream.synchronize()

    assert out.array.view(np.int32).tolist() == [5]


def test_an_image_is_loaded_once(cuda: Double, device: Device, image: bytes) -> None:
    device.kernel(image, "fill")
    device.kernel(image, "fill")

    assert cuda.live("module") == 1


def test_a_kernel_that_the_image_has_not_is_cudas_error(device: Device, image: bytes) -> None:
    with pytest.raises(BackendError, match=r"`cuModuleGetFunction` failed: .*not found"):
        device.kernel(image, "other")


def test_an_image_that_is_none_is_cudas_error(device: Device) -> None:
    with pytest.raises(BackendError, match=r"`cuModuleLoadData(Ex)?` failed: .*image"):
        device.kernel(b"nonsense", "fill")


def test_a_block_that_is_too_large_is_cudas_error(device: Device, image: bytes) -> None:
    kernel, stream = device.kernel(image, "fill"), device.stream()
    zero = ctypes.c_int32(0)
    arguments = (ctypes.c_void_p(0), zero, zero, ctypes.c_float(0), ctypes.c_double(0))

    with pytest.raises(BackendError, match=r"`cu\w+` failed: .*invalid"):
        kernel.launch(stream, grid=(1, 1, 1), block=(2048, 1, 1), arguments=arguments)


def test_every_call_leaves_the_contexts_of_the_thread_alone(cuda: Double, device: Device) -> None:
    trip = RoundTrip(device)
    trip.enqueue()
    device.capture(trip.stream, trip.enqueue).launch(trip.stream)
    trip.stream.synchronize()
    trip.buffer.close()

    assert cuda.counter("current_contexts") == 0


def test_make_current_stays_for_the_thread(cuda: Double, device: Device) -> None:
    device.make_current()
    device.stream().synchronize()

    assert cuda.counter("current_contexts") == 1


def test_another_thread_may_use_and_free_everything(cuda: Double, device: Device) -> None:
    trip = RoundTrip(device)

    def use() -> None:
        trip.enqueue()
        trip.stream.synchronize()
        for resource in (trip.buffer, trip.source, trip.stream):
            resource.close()

    expected = trip.source.array.copy()
    in_another_thread(use)

    assert np.array_equal(trip.target.array, expected)
    assert cuda.live() == 2  # the context, and the target


def test_another_thread_may_close_the_device(cuda: Double, device: Device) -> None:
    RoundTrip(device)

    in_another_thread(device.close)

    assert cuda.live() == 0


class Closable(Protocol):
    def close(self) -> None: ...


def everything(device: Device, image: bytes) -> list[Closable]:
    trip = RoundTrip(device)
    graph = device.capture(trip.stream, trip.enqueue)
    device.kernel(image, "fill")
    mapped = device.pinned_buffer(8, mapped=True)
    event = device.event()
    return [trip.stream, trip.buffer, trip.source, trip.target, graph, mapped, event]


def test_close_frees_once(cuda: Double, device: Device, image: bytes) -> None:
    resources = everything(device, image)

    for resource in resources * 2:
        resource.close()

    assert cuda.live() == 2  # the context, and the module of the kernel


def test_close_of_the_device_frees_what_is_open(cuda: Double, device: Device, image: bytes) -> None:
    everything(device, image)

    device.close()
    device.close()

    assert cuda.live() == 0
    assert cuda.counter("orphans") == 0


def test_close_after_that_of_the_device_does_nothing(device: Device, image: bytes) -> None:
    resources = everything(device, image)
    pinned = device.pinned_buffer(8)
    device.close()

    for resource in (*resources, pinned):
        resource.close()

    assert pinned.array.size == 0


def test_a_closed_stream_is_refused_and_not_taken_for_the_default_one(device: Device) -> None:
    trip = RoundTrip(device)
    trip.stream.close()

    with pytest.raises(ValueError, match="Stream is closed; use it before its `close`"):
        trip.enqueue()
    with pytest.raises(ValueError, match="Stream is closed"):
        trip.stream.synchronize()
    with pytest.raises(ValueError, match="Stream is closed"):
        device.event().record(trip.stream)


def use_a_stream(device: Device) -> None:
    device.stream()


def use_the_context(device: Device) -> None:
    device.make_current()


@pytest.mark.parametrize("use", [use_a_stream, use_the_context])
def test_a_closed_device_is_refused_and_leaves_the_current_context(
    cuda: Double, device: Device, use: Callable[[Device], None]
) -> None:
    library = str(cuda.path) if device.back == "ctypes" else None
    other = open_device(back=device.back, library=library)
    other.make_current()
    device.close()

    with pytest.raises(BackendError, match="the device is closed; open it again by `open_device`"):
        use(device)

    other.stream()
    assert cuda.is_current()
    other.close()


def test_a_closed_buffer_is_refused(device: Device) -> None:
    trip = RoundTrip(device)
    trip.source.close()

    with pytest.raises(ValueError, match="the pinned buffer is closed; use it before its `close`"):
        trip.enqueue()


def test_two_devices_share_the_primary_context(cuda: Double, device: Device) -> None:
    library = str(cuda.path) if device.back == "ctypes" else None
    other = open_device(back=device.back, library=library)

    held = cuda.live("context")
    other.close()

    assert (held, cuda.live("context")) == (2, 1)


def test_ten_thousand_runs_allocate_nothing(cuda: Double, device: Device) -> None:
    trip = RoundTrip(device)
    graph, done = device.capture(trip.stream, trip.enqueue), device.event()
    before = cuda.counter("allocations"), cuda.live()

    for _ in range(10_000):
        graph.launch(trip.stream)
        done.record(trip.stream)
        done.synchronize()

    assert (cuda.counter("allocations"), cuda.live()) == before
