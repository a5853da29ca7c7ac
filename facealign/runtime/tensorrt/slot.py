"""One run at a time: staging memory, a stream, and per batch size a context and a CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError, GraphContractError, UsageError
from facealign.runtime.tensorrt.device import CapturedGraph, DeviceBuffer, Stream
from facealign.runtime.tensorrt.frame_path import CropSetup, FramePath
from facealign.runtime.tensorrt.kernels.crop import Squares
from facealign.runtime.tensorrt.library import BINDING_ERRORS
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan
from facealign.runtime.tensorrt.staged import Staged

__all__ = ["Slot"]

_SMALLEST_BUFFER = 256  # an address is wanted even where a plan needs no scratch memory


class Slot:
    """What one run needs, made once and used again; only one thread may be in it.

    Each batch size has a context of its own: a captured graph is undefined once the context that it
    was captured from was changed (TensorRT's guide, CUDA graphs). The contexts run one after the
    other on one stream, so they share the scratch memory. On an integrated GPU the staging memory
    is mapped, and TensorRT reads and writes it in place.

    Args:
        plan: Stays open at least as long as this.
        say_no_graph: Told once per batch size why there is no graph; None if none is wanted.
        crops: What cuts crops out of frames; None if nothing does.
    """

    def __init__(
        self,
        plan: LoadedPlan,
        *,
        say_no_graph: Callable[[str], None] | None,
        crops: CropSetup | None = None,
    ) -> None:
        self._plan = plan
        self._crops = crops
        self._frames: FramePath | None = None
        self._device = plan.device
        self._say_no_graph = say_no_graph
        self._lanes: dict[int, _Lane] = {}
        self._current: _Lane | None = None
        self._stack = ExitStack()

    def open(self) -> None:
        """Allocate everything but the contexts.

        Raises:
            BackendError: If there is no memory; then nothing stays allocated.
        """
        contract, device = self._plan.contract, self._device
        with ExitStack() as stack:
            self._stream: Stream = device.stream()
            stack.callback(self._stream.close)
            size = max(self._plan.scratch_bytes, _SMALLEST_BUFFER)
            self._scratch: DeviceBuffer = device.device_buffer(size)
            stack.callback(self._scratch.close)
            self._input = Staged(self._plan, contract.inputs[0], stack)
            self._outputs = [Staged(self._plan, spec, stack) for spec in contract.outputs]
            if self._crops is not None:
                self._frames = FramePath(device, self._crops, max_faces=contract.max_batch)
                stack.callback(self._frames.close)
            stack.callback(self._free_lanes)
            stack.callback(self.abandon)
            self._stack = stack.pop_all()

    def start(self, crops: NDArray[np.uint8]) -> None:
        """Queue one run; `finish` must follow.

        Args:
            crops: ``(B, S, S, 3)`` uint8, B from 1 to the plan's largest batch; free at return.
        """
        np.copyto(self._input.array[: len(crops)], crops)
        self._device.make_current()
        self._input.copy_in(self._stream, len(crops))
        self._launch(len(crops))

    def load(self, frame: NDArray[np.uint8]) -> None:
        """Queue the copy of a frame, ``(H, W, 3)`` uint8; free at return."""
        self._device.make_current()
        self._frame_path().load(frame, self._stream)

    def start_squares(self, squares: Squares) -> None:
        """Queue one run on squares of the frame that was loaded; `finish` must follow."""
        self._frame_path().cut(squares, self._stream, self._input.address)
        self._launch(len(squares.side))

    def crops(self, squares: Squares) -> NDArray[np.uint8]:
        """Return the crops of squares of the frame that was loaded, and run nothing."""
        self._frame_path().cut(squares, self._stream, self._input.address)
        self._input.copy_out(self._stream, len(squares.side))
        self._stream.synchronize()
        return cast("NDArray[np.uint8]", self._input.array[: len(squares.side)].copy())

    def finish(self) -> dict[str, NDArray[np.float32]]:
        """Wait for the run, and return copies of its outputs."""
        lane = self._lane()
        self._stream.synchronize()
        self._current = None
        outputs = {
            staged.spec.name: cast("NDArray[np.float32]", staged.array[: lane.batch].copy())
            for staged in self._outputs
        }
        if not lane.is_settled:
            self._capture(lane)
        return outputs

    @property
    def graph_batches(self) -> set[int]:
        """Batch sizes that are replayed as a CUDA graph."""
        return {batch for batch, lane in self._lanes.items() if lane.graph is not None}

    def abandon(self) -> None:
        """Wait for what was queued, whatever became of it, so that its memory can be reused."""
        self._current = None
        with contextlib.suppress(BackendError):
            self._stream.synchronize()

    def close(self) -> None:
        """Free everything, the contexts before the memory that they use."""
        with contextlib.suppress(BackendError):
            self._device.make_current()
        self._stack.close()

    def _frame_path(self) -> FramePath:
        if self._frames is None:
            raise UsageError("this engine takes crops only; open it with a kernel that cuts them")
        return self._frames

    def _launch(self, batch: int) -> None:
        """Queue plan and copies out, as a graph if there is one; the input is queued already."""
        lane = self._lanes.get(batch) or self._new_lane(batch)
        if lane.graph is not None:
            lane.graph.launch(self._stream)
        else:
            self._enqueue(lane)
        self._current = lane

    def _enqueue(self, lane: _Lane) -> None:
        """Queue the plan and the copies of its outputs, one by one."""
        self._execute(lane)
        for staged in self._outputs:
            staged.copy_out(self._stream, lane.batch)

    def _execute(self, lane: _Lane) -> None:
        """Queue the plan.

        Raises:
            BackendError: If CUDA or TensorRT refuses.
        """
        try:
            is_queued = lane.context.execute_async_v3(self._stream.handle)
        except BINDING_ERRORS as error:
            raise self._plan.messages.failure("run the plan", cause=error) from error
        if not is_queued:
            raise self._plan.messages.failure("run the plan")

    def _capture(self, lane: _Lane) -> None:
        """Capture what was just run; TensorRT asks for one run of that shape before."""
        lane.is_settled = True
        if self._say_no_graph is None:
            return
        try:
            self._device.make_current()  # a run may be collected by another thread
            lane.graph = self._device.capture(self._stream, lambda: self._enqueue(lane))
        except BackendError as error:
            self._plan.messages.take()
            self._say_no_graph(str(error))

    def _new_lane(self, batch: int) -> _Lane:
        lane = _Lane(batch)
        try:
            self._set_up(lane)
        except BINDING_ERRORS as error:
            lane.close()
            raise self._plan.messages.failure(f"take a batch of {batch}", cause=error) from error
        except BaseException:
            lane.close()
            raise
        self._lanes[batch] = lane
        return lane

    def _set_up(self, lane: _Lane) -> None:
        """Give a context memory, shape and addresses; none of them is changed again."""
        lane.context = self._plan.context()
        lane.context.error_recorder = self._plan.messages.recorder
        if self._plan.profiler is not None:
            lane.context.profiler = self._plan.profiler
        if hasattr(lane.context, "set_device_memory"):
            lane.context.set_device_memory(self._scratch.address, self._scratch.size)
        else:  # TensorRT 8.6
            lane.context.device_memory = self._scratch.address
        shape = (lane.batch, *self._input.array.shape[1:])
        is_taken = lane.context.set_input_shape(self._input.spec.name, shape)
        for staged in (self._input, *self._outputs):
            is_taken = is_taken and lane.context.set_tensor_address(
                staged.spec.name, staged.address
            )
        if not is_taken or lane.context.infer_shapes():
            raise self._plan.messages.failure(f"take a batch of {lane.batch}")
        self._check_outputs(lane)

    def _check_outputs(self, lane: _Lane) -> None:
        for staged in self._outputs:
            expected = (lane.batch, *staged.array.shape[1:])
            found = tuple(lane.context.get_tensor_shape(staged.spec.name))
            if found != expected:
                raise GraphContractError(
                    f"`{self._plan.contract.name}` must give `{staged.spec.name}` {expected}, got "
                    f"{found}; run `facealign build` again"
                )

    def _lane(self) -> _Lane:
        if self._current is None:
            raise BackendError("no run was started; this is an error in facealign")
        return self._current

    def _free_lanes(self) -> None:
        with ExitStack() as stack:
            for lane in self._lanes.values():
                stack.callback(lane.close)
            self._lanes.clear()


class _Lane:
    """A context for one batch size, and its graph once one was captured."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.context: Any = None  # TensorRT has no types
        self.graph: CapturedGraph | None = None
        self.is_settled = False

    def close(self) -> None:
        """Free the graph, then the context that it was captured from."""
        try:
            if self.graph is not None:
                self.graph.close()
        finally:
            self.graph = None
            self.context = None
