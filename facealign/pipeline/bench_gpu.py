"""What a plan takes on a GPU: whole runs taken apart, and its layers."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from facealign.bench.latency import latency_of
from facealign.bench.result import GpuTimes, LayerRow
from facealign.errors import BackendError
from facealign.runtime.tensorrt.engine import TensorrtEngine
from facealign.runtime.tensorrt.gpu_runs import gpu_runs
from facealign.runtime.tensorrt.layer_profile import operators_of_graph, profile_plan

__all__ = ["gpu_times_of"]


def gpu_times_of(
    engine: TensorrtEngine, crops: NDArray[np.uint8], graph: bytes, *, count: int
) -> GpuTimes:
    """Return runs by the GPU's clock, in trtexec's terms, and the layers of a run.

    Args:
        engine: Open; it stays as it is.
        crops: ``(B, S, S, 3)`` uint8 BGR, what is run.
        graph: ONNX that the plan was built of.
        count: How many runs are timed.

    Raises:
        BackendError: If memory is short, or CUDA or TensorRT fails; not if only the layers fail.
        IntegrityError: If `graph` is none.
    """
    found = gpu_runs(engine, crops, count=count)
    runs = found.runs
    layers, no_layers = _layers(engine, crops, operators_of_graph(graph))
    return GpuTimes(
        latency=latency_of([run.h2d_ms + run.compute_ms + run.d2h_ms for run in runs]),
        enqueue_time=latency_of([run.enqueue_ms for run in runs]),
        h2d_latency=latency_of([run.h2d_ms for run in runs]),
        gpu_compute_time=latency_of([run.compute_ms for run in runs]),
        d2h_latency=latency_of([run.d2h_ms for run in runs]),
        cuda_graph=found.cuda_graph,
        spin_wait=found.spin_wait,
        data_transfers=found.data_transfers,
        layers=layers,
        no_layers=no_layers,
    )


def _layers(
    engine: TensorrtEngine, crops: NDArray[np.uint8], operators: dict[str, str]
) -> tuple[tuple[LayerRow, ...], str | None]:
    """Return the layers of the plan; or none, and why: the times of runs do without them."""
    with closing(engine.share_plan()) as plan:
        try:
            # It opens the plan once more, as a profiler stays with the contexts of a plan.
            layers = profile_plan(plan.contract, plan.device, crops, operators=operators)
        except BackendError as error:
            return (), str(error)
    rows = (
        LayerRow(
            name=each.name,
            operator=each.operator,
            average_ms=each.average_ms,
            median_ms=each.median_ms,
            percentage=each.percentage,
        )
        for each in layers
    )
    return tuple(rows), None
