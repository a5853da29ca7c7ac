"""A copy to the device and back, and a thread whose errors are raised in the test."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import numpy as np

from facealign.runtime.tensorrt.device import Device


class RoundTrip:
    """Copies `source` to the device and back to `target`."""

    def __init__(self, device: Device, size: int = 64) -> None:
        self.device, self.size = device, size
        self.stream, self.buffer = device.stream(), device.device_buffer(size)
        self.source, self.target = device.pinned_buffer(size), device.pinned_buffer(size)
        self.source.array[:] = np.arange(size)

    def enqueue(self) -> None:
        self.device.copy_to_device(
            self.buffer.address, self.source, size=self.size, stream=self.stream
        )
        self.device.copy_to_host(
            self.target, self.buffer.address, size=self.size, stream=self.stream
        )

    def has_run(self) -> bool:
        return np.array_equal(self.target.array, self.source.array)


def in_another_thread(work: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    assert not errors, errors
