"""The back `ctypes`, when calls fail; what works is in `test_protocol.py`."""

from __future__ import annotations

import ctypes
import re

import pytest

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device, open_device
from facealign.runtime.tensorrt.device.driver import _ARGUMENTS
from facealign.runtime.tensorrt.kernels import compiled_kernels
from tests.doubles.cuda import Double, NvrtcDouble

KERNEL = 'extern "C" __global__ void set(int* out, int value) { out[0] = value; }'

# Every call that the scenario below makes, in its order: which function, and which call of it.
OPENING = [
    "cuInit",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceTotalMem_v2",
    "cuDeviceGetAttribute",
    "cuDeviceGetAttribute 2",
    "cuDeviceGetAttribute 3",
    "cuDriverGetVersion",
    "cuDevicePrimaryCtxRetain",
]
USING = [
    "cuStreamCreate",
    "cuEventCreate",
    "cuEventCreate 2",
    "cuMemAlloc_v2",
    "cuMemHostAlloc",
    "cuMemHostAlloc 2",
    "cuMemHostGetDevicePointer_v2",
    "cuModuleLoadData",
    "cuModuleGetFunction",
    "cuMemcpyHtoDAsync_v2",
    "cuMemcpyDtoHAsync_v2",
    "cuLaunchKernel",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphDestroy",
    "cuGraphLaunch",
    "cuEventRecord",
    "cuEventRecord 2",
    "cuEventSynchronize",
    "cuEventElapsedTime",
    "cuStreamSynchronize",
    "cuCtxSetCurrent",
    *(f"cuCtxPushCurrent_v2 {nth}" for nth in range(1, 18)),
    *(f"cuCtxPopCurrent_v2 {nth}" for nth in range(1, 18)),
]
CLOSING = [
    "cuMemFree_v2",
    "cuMemFreeHost",
    "cuMemFreeHost 2",
    "cuModuleUnload",
    "cuEventDestroy_v2",
    "cuEventDestroy_v2 2",
    "cuGraphExecDestroy",
    "cuStreamDestroy_v2",
    "cuDevicePrimaryCtxRelease_v2",
]


def use(device: Device, image: bytes) -> None:
    stream = device.stream()
    start, end = device.event(timing=True), device.event(timing=True)
    buffer, pinned = device.device_buffer(64), device.pinned_buffer(64)
    mapped, kernel = device.pinned_buffer(4, mapped=True), device.kernel(image, "set")
    arguments = (ctypes.c_void_p(mapped.device_address), ctypes.c_int32(5))

    def enqueue() -> None:
        device.copy_to_device(buffer.address, pinned, size=64, stream=stream)
        device.copy_to_host(pinned, buffer.address, size=64, stream=stream)
        kernel.launch(stream, grid=(1, 1, 1), block=(1, 1, 1), arguments=arguments)

    graph = device.capture(stream, enqueue)
    start.record(stream)
    graph.launch(stream)
    end.record(stream)
    end.synchronize()
    end.elapsed_ms(start)
    stream.synchronize()
    device.make_current()


@pytest.fixture
def image(device: Device, nvrtc: NvrtcDouble) -> bytes:
    return compiled_kernels(KERNEL, device.info, library=str(nvrtc.path))


def arm(cuda: Double, call: str) -> str:
    """Let a call fail, and return the name of its function."""
    function, _, nth = call.partition(" ")
    cuda.fail_at(function, int(nth or 1))
    return function


def test_the_lists_of_calls_are_whole(cuda: Double, device: Device, image: bytes) -> None:
    use(device, image)
    device.close()

    listed = {call.partition(" ")[0] for call in OPENING + USING + CLOSING}
    assert set(cuda.calls()) == listed
    # A driver without one of these is refused, so none may be there that is not called.
    assert set(_ARGUMENTS) == listed | {"cuGetErrorName", "cuGetErrorString"}


@pytest.mark.parametrize("call", OPENING)
def test_a_device_that_cannot_be_opened_leaves_nothing(cuda: Double, call: str) -> None:
    function = arm(cuda, call)

    with pytest.raises(BackendError, match=f"`{function}` failed: CUDA_ERROR_UNKNOWN"):
        open_device(library=str(cuda.path))

    assert cuda.live() == 0


@pytest.mark.parametrize("call", USING)
def test_a_call_that_fails_is_named_and_the_device_frees_all(
    cuda: Double, device: Device, image: bytes, call: str
) -> None:
    function = arm(cuda, call)

    with pytest.raises(BackendError, match=rf"`{function}` failed: CUDA_ERROR_UNKNOWN \(unknown"):
        use(device, image)
    device.close()

    assert cuda.live() == 0
    assert cuda.counter("orphans") == 0
    assert cuda.counter("current_contexts") == 0


@pytest.mark.parametrize("call", CLOSING)
def test_a_thing_that_frees_with_an_error_keeps_no_other_from_it(
    cuda: Double, device: Device, image: bytes, call: str
) -> None:
    use(device, image)
    function = arm(cuda, call)

    with pytest.raises(BackendError, match=f"`{function}` failed: CUDA_ERROR_UNKNOWN"):
        device.close()

    assert cuda.live() == 0


@pytest.mark.parametrize("nth", range(1, 9))
def test_close_tries_again_what_it_could_not_reach(
    cuda: Double, device: Device, image: bytes, nth: int
) -> None:
    use(device, image)
    cuda.fail_at("cuCtxPushCurrent_v2", nth)

    with pytest.raises(BackendError, match="`cuCtxPushCurrent_v2` failed"):
        device.close()

    assert cuda.live() == 0
    assert cuda.counter("orphans") == 0


def test_close_goes_on_where_nothing_can_be_reached(
    cuda: Double, device: Device, image: bytes
) -> None:
    use(device, image)
    for nth in range(1, 17):
        cuda.fail_at("cuCtxPushCurrent_v2", nth)

    with pytest.raises(BackendError, match="`cuCtxPushCurrent_v2` failed"):
        device.close()
    device.close()

    assert cuda.live("context") == 0


def test_close_waits_for_work(cuda: Double, device: Device) -> None:
    stream, done = device.stream(), []
    device.make_current()
    cuda.enqueue(stream.handle, lambda: done.append("ran"))

    stream.close()

    assert done == ["ran"]


def test_an_error_of_earlier_work_is_that_of_the_wait(cuda: Double, device: Device) -> None:
    stream = device.stream()
    device.make_current()
    cuda.enqueue(stream.handle, lambda: 700)

    with pytest.raises(BackendError, match=r"CUDA_ERROR_ILLEGAL_ADDRESS.*the context is lost"):
        stream.synchronize()
    with pytest.raises(BackendError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        device.close()

    assert cuda.live() == 0


def test_memory_that_is_freed_before_its_copy_runs_is_waited_for(
    cuda: Double, device: Device
) -> None:
    stream, buffer, pinned = device.stream(), device.device_buffer(8), device.pinned_buffer(8)
    device.copy_to_device(buffer.address, pinned, size=8, stream=stream)

    buffer.close()
    stream.synchronize()

    assert cuda.live("device_memory") == 0


def test_a_graph_over_memory_that_is_gone_is_an_error(cuda: Double, device: Device) -> None:
    stream, buffer, pinned = device.stream(), device.device_buffer(8), device.pinned_buffer(8)
    graph = device.capture(
        stream, lambda: device.copy_to_device(buffer.address, pinned, size=8, stream=stream)
    )
    buffer.close()
    graph.launch(stream)

    with pytest.raises(BackendError, match="`cuStreamSynchronize` failed: CUDA_ERROR_ILLEGAL_ADD"):
        stream.synchronize()
    with pytest.raises(BackendError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        device.close()

    assert cuda.live() == 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (2, "CUDA_ERROR_OUT_OF_MEMORY (out of memory); close other programs"),
        (3, "CUDA_ERROR_NOT_INITIALIZED (initialization error); the process was forked"),
        (4, "CUDA_ERROR_DEINITIALIZED (driver shutting down); the process is ending"),
        (719, "CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure); the context is lost"),
        (12345, "error 12345"),
    ],
)
def test_words_are_cudas_and_then_what_to_do(
    cuda: Double, device: Device, error: int, words: str
) -> None:
    cuda.fail_at("cuMemAlloc_v2", error=error)

    with pytest.raises(BackendError, match=re.escape(f"`cuMemAlloc_v2` failed: {words}")):
        device.device_buffer(8)


def test_memory_beyond_that_of_the_device_is_refused(cuda: Double) -> None:
    cuda.set("memory_mib", 1)
    opened = open_device(library=str(cuda.path))

    with pytest.raises(BackendError, match="CUDA_ERROR_OUT_OF_MEMORY"):
        opened.device_buffer(2 << 20)
    opened.close()

    assert opened.info.memory_bytes == 1 << 20


def test_an_integrated_device_says_so(cuda: Double) -> None:
    cuda.set("integrated", 1)
    cuda.set("driver_version", 11040)

    opened = open_device(library=str(cuda.path))
    opened.close()

    assert opened.info.is_integrated
    assert opened.info.driver_version == (11, 4)
