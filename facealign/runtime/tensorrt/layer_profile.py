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

from facealign.errors import BackendError, IntegrityError
from facealign.runtime.onnx_fields import messages, texts
from facealign.runtime.tensorrt.device import Device
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan, load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from facealign.runtime.tensorrt.slot import Slot

__all__ = ["LayerTime", "nodes_of_layer", "operators_of_graph", "profile_plan"]

_WARM_UP = 3  # the first run of a batch size sets it up
_OTHER = "TensorRT"  # a layer that holds no node, such as a copy between formats
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_COPY = "Reformatting CopyNode"
# Field numbers of onnx.proto, which never change.
_MODEL_GRAPH, _GRAPH_NODE = 7, 1
_MODEL_FUNCTION, _FUNCTION_NODE = 25, 7
_NODE_OUTPUT, _NODE_NAME, _NODE_OPERATOR = 2, 3, 4
# Verbosity DETAILED writes the nodes that a layer was made of into its metadata; what else is known
# of a node, such as the function that it is in, follows a bar (onnx-tensorrt, `processMetadata`).
_METADATA = re.compile(r"\[ONNX Layer: ([^\]]+?)(?: \|[^\]]*)?\]")
# Without it, names are joined: "a + b", "a || b", "PWN(a, b)", "{ForeignNode[a...b]}".
_JOINTS = re.compile(r"\.\.\.|[\s(){}\[\],]+")


@dataclass(frozen=True, slots=True)
class LayerTime:
    """One layer of a plan over all runs, by what trtexec's ``--exportProfile`` says of it.

    Attributes:
        name: As TensorRT calls it.
        nodes: Names of the ONNX nodes that it holds, as far as TensorRT tells.
        operator: Of the first of them, products first.
        average_ms: Of one run.
        median_ms: Likewise.
        percentage: Of all layers, 0 to 100.
    """

    name: str
    nodes: tuple[str, ...]
    operator: str
    average_ms: float
    median_ms: float
    percentage: float


def profile_plan(
    contract: PlanContract,
    device: Device,
    crops: NDArray[np.uint8],
    *,
    operators: Mapping[str, str],
    run_count: int = 20,
) -> tuple[LayerTime, ...]:
    """Return the times of a plan's layers, as they are reported. Runs are no CUDA graph.

    Args:
        contract: A plan that was checked, see `LoadedPlan`.
        device: Where it was built for; stays open.
        crops: ``(B, S, S, 3)`` uint8 BGR, what is run.
        operators: Of the graph, see `operators_of_graph`.
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
    return _layers(times, run_count, operators, metadata)


def operators_of_graph(graph: bytes) -> dict[str, str]:
    """Return the operator of every node by the name that TensorRT's parser gives it.

    Nodes of functions too, as their bodies become layers.

    Args:
        graph: ONNX.

    Raises:
        IntegrityError: If it is no protobuf message.
    """
    model = memoryview(graph)
    try:
        parts = [(each, _GRAPH_NODE) for each in messages(model, _MODEL_GRAPH)]
        parts += [(each, _FUNCTION_NODE) for each in messages(model, _MODEL_FUNCTION)]
        nodes = [node for part, number in parts for node in messages(part, number)]
        return {_name(node): b"".join(texts(node, _NODE_OPERATOR)).decode() for node in nodes}
    except IndexError as error:
        raise IntegrityError("the graph is cut off; copy the bundle again") from error


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


def _name(node: memoryview) -> str:
    name = b"".join(texts(node, _NODE_NAME))
    return (name or b"node_of_" + b"".join(texts(node, _NODE_OUTPUT)[:1])).decode()


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
    """Return what TensorRT keeps of its layers by name; nothing of those it only names.

    Raises:
        BackendError: If that cannot be read.
    """
    try:
        # It separates nodes by control characters, which JSON does not allow as they are.
        layers = json.loads(plan.layer_information(), strict=False).get("Layers", [])
    except (ValueError, AttributeError) as error:
        raise BackendError(f"what TensorRT says of its layers cannot be read: {error}") from error
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
                average_ms=sum(reported) / run_count,
                median_ms=statistics.median(reported),
                percentage=100 * sum(reported) / all_ms,
            )
        )
    return tuple(layers)


def _operator(held: Sequence[str]) -> str:
    products = [operator for operator in held if operator in _PRODUCTS]
    return next(iter([*products, *held]), _OTHER)
