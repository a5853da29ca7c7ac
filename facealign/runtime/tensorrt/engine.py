"""The engine that runs a plan: whole batches with `run`, or a video with `submit` and `collect`."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from facealign.errors import ShapeError
from facealign.runtime.inputs import check_frame
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.frame_path import CropSetup, parts_of
from facealign.runtime.tensorrt.kernels.crop import Squares
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan, load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.slot import Slot
from facealign.runtime.tensorrt.slot_pool import SlotPool, Ticket

__all__ = ["TensorrtEngine", "Ticket", "engine_from_plan"]

_logger = logging.getLogger(__name__)
_SLOTS = 2  # one is copied while the other is computed; a third would only add delay


def engine_from_plan(
    contract: PlanContract,
    device: Device,
    *,
    closes_device: bool = False,
    uses_graphs: bool = True,
    crops: CropSetup | None = None,
) -> TensorrtEngine:
    """Return an engine on a plan, and nothing else is open.

    Args:
        contract: A plan that was checked, see `LoadedPlan`.
        device: Where it was built for.
        closes_device: Whether the device is closed with the engine, also when this fails.
        uses_graphs: Whether runs are captured and replayed as CUDA graphs.
        crops: What cuts crops out of frames on the device; without it there is no `run_frame`.

    Raises:
        BackendError: If TensorRT is absent or cannot open the plan, or memory is short.
        GraphContractError: If the plan is not what it promises.
    """
    plan = load_plan(contract, device, closes_device=closes_device)
    with ExitStack() as stack:
        stack.callback(plan.close)  # the engine has a share of its own
        return TensorrtEngine(plan, uses_graphs=uses_graphs, crops=crops)


class TensorrtEngine:
    """An `Engine`: may be called from several threads; two runs are under way at a time.

    Arrays handed in are free at return, and those handed out are the caller's own: copies.
    The first run of a batch size makes its context and captures its CUDA graph. After that nothing
    is allocated on the device, nor pinned: `warm_up` does it beforehand. Memory on the device is
    the plan's scratch memory and the largest batch, twice, and a context per batch size.

    Args:
        plan: Shared with other engines, if there are any; closed when the last of them is.
        uses_graphs: Whether runs are captured and replayed as CUDA graphs.
        crops: What cuts crops out of frames on the device; without it there is no `run_frame`.

    Raises:
        BackendError: If memory is short.
    """

    name = "tensorrt"

    def __init__(
        self, plan: LoadedPlan, *, uses_graphs: bool = True, crops: CropSetup | None = None
    ) -> None:
        self.max_batch = plan.contract.max_batch
        self.crops_frames = crops is not None
        self._plan = plan.share()
        self._has_said_no_graph = False
        self._slots: list[Slot] = []
        with ExitStack() as stack:
            stack.callback(self._plan.close)
            for _ in range(_SLOTS):
                say = self._say_no_graph if uses_graphs else None
                slot = Slot(plan, say_no_graph=say, crops=crops)
                slot.open()
                stack.callback(slot.close)
                self._slots.append(slot)
            self._stack = stack.pop_all()
        self._pool = SlotPool(self._slots)

    def run(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name.

        Args:
            crops: ``(B, S, S, 3)`` uint8 BGR, B from 1 to `max_batch`.

        Raises:
            ShapeError: If `crops` is not of that shape and type.
            UsageError: If the engine is closed, or everything submitted waits to be collected.
            BackendError: If TensorRT or CUDA fails.
        """
        self._check_crops(crops)
        with self._pool.taken() as slot:
            slot.start(crops)
            return slot.finish()

    def run_frame(
        self, frame: NDArray[np.uint8], squares: Squares
    ) -> dict[str, NDArray[np.float32]]:
        """Return the outputs for crops that are cut on the device: one copy of the frame.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR, any strides.
            squares: F of them in frame pixels, 1 or more; above `max_batch` they take turns.

        Raises:
            ShapeError: If `frame` is not of that shape and type, or there is no square.
            UsageError: As `run`; or if the engine was opened without `crops`.
            BackendError: If TensorRT or CUDA fails.
        """
        frame, runs = _checked_frame(frame, squares), []
        with self._pool.taken() as slot:
            slot.load(frame)
            for part in parts_of(squares, self.max_batch):
                slot.start_squares(part)
                runs.append(slot.finish())
        return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}

    def crops_from_frame(self, frame: NDArray[np.uint8], squares: Squares) -> NDArray[np.uint8]:
        """Return the crops that `run_frame` runs, ``(F, S, S, 3)`` uint8; raises what it does."""
        frame = _checked_frame(frame, squares)
        with self._pool.taken() as slot:
            slot.load(frame)
            return np.concatenate([slot.crops(part) for part in parts_of(squares, self.max_batch)])

    def submit(self, crops: NDArray[np.uint8]) -> Ticket:
        """Start a run and return at once; at most two may wait to be collected.

        Raises what `run` raises.
        """
        self._check_crops(crops)

        def start(slot: Slot) -> None:
            slot.start(crops)

        return self._pool.submit(start)

    def collect(self, ticket: Ticket) -> dict[str, NDArray[np.float32]]:
        """Wait for a run that was submitted, and return its outputs; once, and in any order.

        Raises:
            UsageError: If it was collected before or is another engine's, or this one is closed.
            BackendError: If the run failed.
        """
        with self._pool.collected(ticket) as slot:
            return slot.finish()

    def warm_up(self, batches: Iterable[int]) -> None:
        """Run zeros of these batch sizes, so that no later run has to make or capture anything.

        Raises what `run` raises; everything that was submitted must be collected before.
        """
        spec = self._plan.contract.inputs[0]
        rows = tuple(int(axis) for axis in spec.shape[1:])
        for batch, wanted in itertools.product(batches, self._slots):
            crops = np.zeros((batch, *rows), np.uint8)
            self._check_crops(crops)
            with self._pool.taken(wanted) as slot:
                slot.start(crops)
                slot.finish()

    def share_plan(self) -> LoadedPlan:
        """Return the plan for one more user, who closes it."""
        return self._plan.share()

    @property
    def graph_batches(self) -> set[int]:
        """Batch sizes that every later run replays as a CUDA graph."""
        return set.intersection(*(slot.graph_batches for slot in self._slots))

    def close(self) -> None:
        """Free everything; runs under way in other threads finish, and tickets are void."""
        if self._pool.close():
            self._stack.close()

    def _check_crops(self, crops: NDArray[np.uint8]) -> None:
        spec = self._plan.contract.inputs[0]
        rows = spec.shape[1:]
        fits = crops.dtype == np.uint8 and crops.shape[1:] == rows
        if not fits or not 1 <= len(crops) <= self.max_batch:
            raise ShapeError(
                f"`crops` must be (B, {', '.join(map(str, rows))}) uint8 with B from 1 to "
                f"{self.max_batch}, got {crops.shape} {crops.dtype}"
            )

    def _say_no_graph(self, why: str) -> None:
        if not self._has_said_no_graph:
            self._has_said_no_graph = True
            _logger.warning("runs are queued one by one, as CUDA captures no graph: %s", why)


def _checked_frame(frame: NDArray[np.uint8], squares: Squares) -> NDArray[np.uint8]:
    """Return the frame: the device would read beyond one of another shape."""
    if len(squares.side) == 0:
        raise ShapeError("`squares` must be 1 or more, got 0; leave out frames without faces")
    return check_frame(frame)
