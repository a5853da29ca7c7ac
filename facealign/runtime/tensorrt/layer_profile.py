"""How long each layer of a plan takes, by TensorRT's own profiler; not run on a GPU yet."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facealign.errors import BackendError
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan, load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.slot import Slot

__all__ = ["LayerProfile", "LayerTime", "nodes_of_layer", "profile_plan"]

_WARM_UP = 3  # the first run of a batch size sets it up
_OTHER = "TensorRT"  # a layer that holds no node, such as a copy between formats
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_COPY = "Reformatting CopyNode"
# Verbosity DETAILED writes the nodes that a layer was made of into its metadata.
_METADATA = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
# Without it, names are joined: "a + b", "a || b", "PWN(a, b)", "{ForeignNode[a...b]}".
_JOINTS = re.compile(r"\.\.\.|[\s(){}\[\],]+")


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer of a plan over all runs, in what trtexec's ``--exportProfile`` says of it.

    Attributes:
        name: As TensorRT calls it.
        nodes: Names of the ONNX nodes that it holds, as far as TensorRT tells.
        operator: Of the first of them, products first.
        time_ms: Of all runs together.
        average_ms: Of one run.
        median_ms: Likewise.
        percentage: Of all layers, 0 to 100.
    """

    name: str
    nodes: tuple[str, ...]
    operator: str
    time_ms: float
    average_ms: float
    median_ms: float
    percentage: float


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """The layers of a plan in the order they were reported."""

    run_count: int
    layers: tuple[LayerTime, ...]

    def operator_times(self) -> dict[str, float]:
        """Return milliseconds per run by operator, the largest first."""
        times: dict[str, float] = {}
        for layer in self.layers:
            times[layer.operator] = times.get(layer.operator, 0.0) + layer.average_ms
        return dict(sorted(times.items(), key=lambda item: -item[1]))

    def exported(self) -> list[dict[str, int | float | str]]:
        """Return it as trtexec's ``--exportProfile`` writes it, to be written as JSON."""
        rows: list[dict[str, int | float | str]] = [{"count": self.run_count}]
        rows += [
            {
                "name": layer.name,
                "timeMs": layer.time_ms,
                "averageMs": layer.average_ms,
                "medianMs": layer.median_ms,
                "percentage": layer.percentage,
            }
            for layer in self.layers
        ]
        return rows


def profile_plan(
    contract: PlanContract,
    device: Device,
    crops: NDArray[np.uint8],
    *,
    operators: Mapping[str, str],
    run_count: int = 20,
) -> LayerProfile:
    """Return the times of a plan's layers. Runs are queued one by one, not as a CUDA graph.

    Args:
        contract: A plan that was checked, see `LoadedPlan`.
        device: Where it was built for; stays open.
        crops: ``(B, S, S, 3)`` uint8 BGR, what is run.
        operators: Of the graph, by the name of a node.
        run_count: Without warm-up.

    Raises:
        BackendError: If TensorRT is absent, fails, or reports no layers.
        GraphContractError: If the plan is not what it promises.
    """
    with ExitStack() as stack:
        plan = load_plan(contract, device)
        stack.callback(plan.close)
        times: dict[str, list[float]] = {}
        plan.profiler = _profiler_class(plan.trt)(times)
        slot = Slot(plan, say_no_graph=None)
        slot.open()
        stack.callback(slot.close)
        for number in range(_WARM_UP + run_count):
            if number == _WARM_UP:
                times.clear()
            slot.start(crops)
            slot.finish()
        metadata = _metadata(plan)
    if not times:
        raise BackendError(
            f"TensorRT reports no layers of `{contract.name}`; run `facealign build` again"
        )
    return LayerProfile(run_count, _layers(times, run_count, operators, metadata))


def nodes_of_layer(name: str, metadata: str, known: Mapping[str, object]) -> tuple[str, ...]:
    """Return the ONNX nodes that a layer holds, of those that are known.

    Of a ``ForeignNode`` without metadata these are its first and its last.

    Args:
        name: Of the layer.
        metadata: That TensorRT keeps of it; empty if it keeps none.
        known: Names of the graph's nodes.
    """
    if name.startswith(_COPY):
        return ()
    found = _METADATA.findall(metadata) or _JOINTS.split(name)
    return tuple(dict.fromkeys(part for part in found if part in known))


def _profiler_class(trt: ModuleType) -> Any:  # noqa: ANN401  # a class of the module in hand
    class Profiler(trt.IProfiler):  # type: ignore[misc, name-defined]  # a module without types
        """TensorRT calls it after each run, from the thread that queued it."""

        def __init__(self, times: dict[str, list[float]]) -> None:
            trt.IProfiler.__init__(self)
            self._times = times

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self._times.setdefault(layer_name, []).append(float(ms))

    return Profiler


def _metadata(plan: LoadedPlan) -> dict[str, str]:
    """Return what TensorRT keeps of its layers by name; nothing of those it only names."""
    layers = json.loads(plan.layer_information()).get("Layers", [])
    detailed = [layer for layer in layers if isinstance(layer, dict)]
    return {str(layer.get("Name", "")): str(layer.get("Metadata", "")) for layer in detailed}


def _layers(
    times: Mapping[str, Sequence[float]],
    run_count: int,
    operators: Mapping[str, str],
    metadata: Mapping[str, str],
) -> tuple[LayerTime, ...]:
    all_ms = sum(map(sum, times.values())) or 1.0
    layers = []
    for name, reported in times.items():
        nodes = nodes_of_layer(name, metadata.get(name, ""), operators)
        layers.append(
            LayerTime(
                name=name,
                nodes=nodes,
                operator=_operator([operators[node] for node in nodes]),
                time_ms=sum(reported),
                average_ms=sum(reported) / run_count,
                median_ms=statistics.median(reported),
                percentage=100 * sum(reported) / all_ms,
            )
        )
    return tuple(layers)


def _operator(held: Sequence[str]) -> str:
    products = [operator for operator in held if operator in _PRODUCTS]
    return next(iter([*products, *held]), _OTHER)
