"""The back `ctypes`, on the libcuda double."""

from __future__ import annotations

import numpy as np

from facealign.runtime.tensorrt.device import Device
from tests.doubles.cuda import Double


def test_a_copy_there_and_back_gives_the_bytes(device: Device, rng: np.random.Generator) -> None:
    stream, buffer = device.stream(), device.device_buffer(64)
    source, target = device.pinned_buffer(64), device.pinned_buffer(64)
    source.array[:] = rng.integers(0, 256, 64, dtype=np.uint8)

    device.copy_to_device(buffer.address, source, size=64, stream=stream)
    device.copy_to_host(target, buffer.address, size=64, stream=stream)
    stream.synchronize()

    assert np.array_equal(target.array, source.array)


def test_work_runs_only_when_someone_waits(cuda: Double, device: Device) -> None:
    stream, done = device.stream(), []
    device.make_current()
    cuda.enqueue(stream.handle, lambda: done.append("ran"))

    before = list(done)
    stream.synchronize()

    assert (before, done) == ([], ["ran"])


def test_close_frees_everything(cuda: Double, device: Device) -> None:
    device.stream()
    device.event()
    device.device_buffer(8)
    device.pinned_buffer(8, mapped=True)

    device.close()

    assert cuda.live() == 0
