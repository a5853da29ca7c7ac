"""Capture of a stream's work, and the graph it becomes; of either back, by its stream's handle."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref, c_void_p
from functools import partial

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device.driver import Driver
from facealign.runtime.tensorrt.device.protocol import Stream
from facealign.runtime.tensorrt.device.resource import Context, Resource, handle_of

__all__ = ["DriverGraph", "capture_graph"]

# CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, as trtexec has it: other sessions may allocate meanwhile.
_THREAD_LOCAL = 1


class DriverGraph(Resource):
    """A `CapturedGraph`; `handle` is a ``CUgraphExec``."""

    def __init__(self, driver: Driver, context: Context, handle: int) -> None:
        super().__init__(context, handle, partial(driver.call, "cuGraphExecDestroy", handle))
        self._driver = driver

    def launch(self, stream: Stream) -> None:
        """Queue the work."""
        with self._context:
            self._driver.call("cuGraphLaunch", handle_of(self), handle_of(stream))


def capture_graph(
    driver: Driver, context: Context, stream: Stream, enqueue: Callable[[], None]
) -> DriverGraph:
    """Return as a graph what `enqueue` queues on `stream`; nothing of it is run.

    Args:
        driver: Whose functions are called.
        context: That of the stream.
        stream: It can be used as before, whatever happens.
        enqueue: Queues the work, on `stream` and in this thread only.

    Raises:
        BackendError: If something in it cannot be captured.
    """
    with context:
        graph = _captured(driver, handle_of(stream), enqueue)
        try:
            executable = driver.made("cuGraphInstantiateWithFlags", graph, 0)
        finally:
            driver.call("cuGraphDestroy", graph)
        return DriverGraph(driver, context, executable)


def _captured(driver: Driver, stream: int, enqueue: Callable[[], None]) -> int:
    driver.call("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL)
    try:
        enqueue()
    except BaseException:
        _abandon(driver, stream)
        raise
    return _ended(driver, stream)


def _ended(driver: Driver, stream: int) -> int:
    graph = c_void_p()
    driver.call("cuStreamEndCapture", stream, byref(graph))
    return graph.value or 0


def _abandon(driver: Driver, stream: int) -> None:
    try:
        graph = _ended(driver, stream)
    except BackendError:
        return  # as an invalid capture answers, which is ended by it; its cause is being raised
    driver.call("cuGraphDestroy", graph)
