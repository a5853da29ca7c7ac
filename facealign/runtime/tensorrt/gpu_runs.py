"""Runs taken apart by events on the stream, as trtexec takes them apart."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facealign.runtime.tensorrt.engine import TensorrtEngine
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan
from facealign.runtime.tensorrt.slot import Slot, _Lane

__all__ = ["GpuRun", "GpuRuns", "gpu_runs"]

_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class GpuRun:
    """One run, in milliseconds; all but `enqueue_ms`, of the CPU, by the GPU's own clock."""

    enqueue_ms: float
    h2d_ms: float
    compute_ms: float
    d2h_ms: float


@dataclass(frozen=True, slots=True)
class GpuRuns:
    """Runs, and the settings that trtexec's figures depend on.

    Attributes:
        runs: In their order.
        cuda_graph: Whether the plan was replayed as a CUDA graph, its copies aside.
        spin_wait: Whether the CPU spins while it waits. CUDA chooses: it spins unless the GPU is
            integrated, where it may sleep to save power.
        data_transfers: Whether crops and landmarks were copied; they are not where both share one
            memory, and then take no time.
    """

    runs: tuple[GpuRun, ...]
    cuda_graph: bool
    spin_wait: bool
    data_transfers: bool


def gpu_runs(engine: TensorrtEngine, crops: NDArray[np.uint8], *, count: int) -> GpuRuns:
    """Return runs of the engine's plan on a stream of their own, one after the other.

    Args:
        engine: Open; it stays as it is.
        crops: ``(B, S, S, 3)`` uint8 BGR, B from 1 to the engine's largest batch.
        count: How many, 1 or more; some more warm up.

    Raises:
        BackendError: If memory is short, or CUDA or TensorRT fails.
    """
    with ExitStack() as stack:
        plan = engine.share_plan()
        stack.callback(plan.close)
        slot = _TimedSlot(plan)
        slot.open()
        stack.callback(slot.close)
        slot.mark(stack)
        for _ in range(_WARM_UP):
            slot.run(crops)
        runs = tuple(slot.run(crops) for _ in range(count))
        is_integrated = plan.device.info.is_integrated
        return GpuRuns(
            runs=runs,
            cuda_graph=len(crops) in slot.graph_batches,
            spin_wait=not is_integrated,
            data_transfers=not is_integrated,
        )


class _TimedSlot(Slot):
    """A slot whose graph is the plan alone, so that marks fit between it and the copies."""

    def __init__(self, plan: LoadedPlan) -> None:
        super().__init__(plan, say_no_graph=lambda _: None)

    def mark(self, stack: ExitStack) -> None:
        """Make the four marks; `stack` frees them."""
        self._marks = [self._device.event(timing=True) for _ in range(4)]
        for mark in self._marks:
            stack.callback(mark.close)

    def run(self, crops: NDArray[np.uint8]) -> GpuRun:
        """Return the times of one run."""
        begin, copied_in, computed, copied_out = self._marks
        np.copyto(self._input.array[: len(crops)], crops)
        self._device.make_current()
        begin.record(self._stream)
        self._input.copy_in(self._stream, len(crops))
        copied_in.record(self._stream)
        started = time.perf_counter()
        self._launch(len(crops))
        enqueue_ms = 1e3 * (time.perf_counter() - started)
        computed.record(self._stream)
        for staged in self._outputs:
            staged.copy_out(self._stream, len(crops))
        copied_out.record(self._stream)
        self.finish()
        return GpuRun(
            enqueue_ms=enqueue_ms,
            h2d_ms=copied_in.elapsed_ms(begin),
            compute_ms=computed.elapsed_ms(copied_in),
            d2h_ms=copied_out.elapsed_ms(computed),
        )

    def _enqueue(self, lane: _Lane) -> None:
        """Queue the plan alone."""
        self._execute(lane)
