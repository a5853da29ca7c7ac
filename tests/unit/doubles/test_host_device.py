"""The double of a device refuses what a device would get wrong."""

from __future__ import annotations

import pytest

from tests.doubles.host_device import HostDevice, HostGraph, HostMemory, HostStream


class Copies:
    """Copies there and back, captured."""

    def __init__(self, device: HostDevice) -> None:
        self.stream: HostStream = device.stream()
        self.pinned: HostMemory = device.pinned_buffer(8)
        self.there: HostMemory = device.device_buffer(8)

        def enqueue() -> None:
            device.copy_to_device(self.there.address, self.pinned, size=8, stream=self.stream)
            device.copy_to_host(self.pinned, self.there.address, size=8, stream=self.stream)

        self.graph: HostGraph = device.capture(self.stream, enqueue)


def test_a_graph_gives_back_what_it_copied() -> None:
    copies = Copies(HostDevice())
    copies.pinned.array[:] = 7

    copies.graph.launch(copies.stream)
    copies.stream.synchronize()

    assert copies.there.array.tolist() == copies.pinned.array.tolist() == [7] * 8


def test_a_graph_over_memory_of_the_device_that_is_gone_is_an_error() -> None:
    copies = Copies(HostDevice())
    copies.there.close()
    copies.graph.launch(copies.stream)

    with pytest.raises(ValueError, match="CUDA_ERROR_ILLEGAL_ADDRESS: 8 bytes at 0x"):
        copies.stream.synchronize()


def test_a_graph_over_pinned_memory_that_is_gone_is_an_error() -> None:
    copies = Copies(HostDevice())
    copies.pinned.close()
    copies.graph.launch(copies.stream)

    with pytest.raises(ValueError, match="could not broadcast"):
        copies.stream.synchronize()


def test_a_copy_beyond_the_memory_of_the_device_is_an_error() -> None:
    device = HostDevice()
    stream, pinned, there = device.stream(), device.pinned_buffer(16), device.device_buffer(8)

    with pytest.raises(ValueError, match="CUDA_ERROR_ILLEGAL_ADDRESS: 16 bytes at 0x"):
        device.copy_to_device(there.address, pinned, size=16, stream=stream)
    with pytest.raises(ValueError, match="CUDA_ERROR_ILLEGAL_ADDRESS: 16 bytes at 0x"):
        device.copy_to_host(pinned, there.address, size=16, stream=stream)


def test_a_closed_stream_is_an_error() -> None:
    copies = Copies(HostDevice())
    copies.stream.close()

    with pytest.raises(ValueError, match="CUDA_ERROR_INVALID_HANDLE: no stream 0x"):
        copies.graph.launch(copies.stream)
