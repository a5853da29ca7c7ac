"""What a bundle will need of a machine: memory, disk, and time to build its plans.

Everything here is an estimate and says what it is made of; ``facealign bench`` measures.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from facealign.bundle import Bundle
from facealign.errors import UsageError
from facealign.machine.facts import size_text
from facealign.runtime.tensorrt.build_bundle import plan_precisions
from facealign.runtime.tensorrt.build_options import BuildOptions

__all__ = [
    "BUILD_BASIS",
    "LABEL",
    "MEMORY_BASIS",
    "BundleNeeds",
    "GraphNeeds",
    "Seconds",
    "build_seconds",
    "bundle_needs",
]

Seconds = tuple[float, float]
"""The ends of a range that is a guess from two logs; what it takes may lie outside."""

LABEL = "estimate, not measured"
_WITH_GRAPH = "the graph's tensors: the largest sum that is alive at once, nothing fused"
_WITHOUT_GRAPH = "the size of the file; onnx, which reads the tensors, is not installed"
BUILD_BASIS = (
    "two public logs alone, in which ResNet-50 (176 nodes, 4.1 G multiply-accumulates) took 10.7 s "
    "on an RTX 3070 with TensorRT 10.9 (its address was not kept) and 120 s on a Jetson Thor with "
    "10.13 (OE4T/meta-tegra#2120), scaled by nodes; the range is a guess: a third of that to three "
    "times, on a Jetson to six, and higher for heavier nodes"
)
MEMORY_BASIS = (
    "workspace, weights twice, activations of the largest batch, and the builder's own kernels as "
    "one log each shows them: 1.2 GiB on a Jetson (OE4T/meta-tegra#2120), 2.6 GiB on a PC "
    "(TensorRT 10.9)"
)
_RESNET_NODES, _RESNET_MACS = 176, 4.1e9
_PC_S, _JETSON_S = 10.7, 120.0
_LOW, _HIGH, _HIGH_JETSON = 1 / 3, 3.0, 6.0
_BUILDER_BYTES = {True: int(1.2 * 2**30), False: int(2.6 * 2**30)}  # by whether it is a Jetson
_COPIES = 2  # of the weights during a build: those read, and those of the plan
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class GraphNeeds:
    """What one graph needs while it runs.

    Attributes:
        precision: As the manifest has it.
        weight_bytes: Of its constants; of its file where onnx is not installed.
        activation_bytes: Of one crop, and of the largest batch; None without onnx.
        build_s: To build its plan here; None where it is not for TensorRT or there is no GPU.
        plan_bytes: Room that its plan will take, about.
    """

    precision: str
    weight_bytes: int
    activation_bytes: tuple[int, int] | None
    build_s: Seconds | None
    plan_bytes: int | None


@dataclass(frozen=True, slots=True)
class BundleNeeds:
    """What a bundle needs of this machine.

    Attributes:
        graphs: One by one.
        max_batch: Of the bundle.
        basis: What sizes are made of.
        build_memory_bytes: The most that a build of its plans will need; None if none is built.
        disk_bytes: Room for all of its plans; None if none is built.
        lacking: What this machine does not have enough of, each a sentence.
    """

    graphs: tuple[GraphNeeds, ...]
    max_batch: int
    basis: str
    build_memory_bytes: int | None
    disk_bytes: int | None
    lacking: tuple[str, ...]


def bundle_needs(
    bundle: Bundle,
    *,
    is_jetson: bool,
    has_gpu: bool,
    memory_bytes: int | None,
    disk_bytes: int | None,
) -> BundleNeeds:
    """Return what a bundle needs of a machine.

    Args:
        bundle: Opened.
        is_jetson: Whether plans would be built on one.
        has_gpu: Whether plans can be built at all.
        memory_bytes: What a process can have here; None if that is not known.
        disk_bytes: What is free where the bundle is, which is where its plans go.
    """
    reads = importlib.util.find_spec("onnx_ir") is not None
    reads = reads and importlib.util.find_spec("onnx") is not None
    graphs = tuple(_graphs(bundle, reads=reads, is_jetson=is_jetson, has_gpu=has_gpu))
    planned = [graph for graph in graphs if graph.plan_bytes is not None]
    build = max((_build_bytes(graph, is_jetson=is_jetson) for graph in planned), default=None)
    plans = sum(graph.plan_bytes or 0 for graph in planned) if planned else None
    return BundleNeeds(
        graphs=graphs,
        max_batch=bundle.manifest.max_batch,
        basis=_WITH_GRAPH if reads else _WITHOUT_GRAPH,
        build_memory_bytes=build,
        disk_bytes=plans,
        lacking=(
            *_lacking_to_run(graphs, memory_bytes),
            *_lacking("memory to build plans", build, memory_bytes),
            *_lacking("disk for plans", plans, disk_bytes),
        ),
    )


def build_seconds(*, node_count: int, mac_count: int, is_jetson: bool) -> Seconds:
    """Return how long TensorRT may take to build a plan; `BUILD_BASIS` says from what.

    It tries kernels for every layer, so time goes with nodes; it runs each of them, so where nodes
    do more than those of ResNet-50 the upper end goes with their work too.
    """
    share = node_count / _RESNET_NODES
    heavier = max(1.0, mac_count / _RESNET_MACS / share) if share else 1.0
    base = share * (_JETSON_S if is_jetson else _PC_S)
    return base * _LOW, base * heavier * (_HIGH_JETSON if is_jetson else _HIGH)


def _graphs(bundle: Bundle, *, reads: bool, is_jetson: bool, has_gpu: bool) -> Iterator[GraphNeeds]:
    planned = _planned(bundle) if has_gpu else ()
    for name, entry in sorted(bundle.manifest.graphs.items()):
        size = bundle.manifest.files[entry.file].size
        weights, activations = _sizes(bundle, name) if reads else (size, None)
        build = build_seconds(
            node_count=entry.node_count, mac_count=entry.mac_count, is_jetson=is_jetson
        )
        yield GraphNeeds(
            precision=name,
            weight_bytes=weights,
            activation_bytes=activations,
            build_s=build if name in planned else None,
            # A plan holds the weights and the kernels that were chosen.
            plan_bytes=size + 4 * _MIB if name in planned else None,
        )


def _planned(bundle: Bundle) -> tuple[str, ...]:
    try:
        return plan_precisions(bundle)
    except UsageError:  # none of its graphs is for TensorRT
        return ()


def _sizes(bundle: Bundle, precision: str) -> tuple[int, tuple[int, int]]:
    from facealign.export.graph import graph_from_bytes  # a device may have no onnx
    from facealign.export.live_memory import peak_activation_bytes, weight_bytes

    model = graph_from_bytes(bundle.read_file(bundle.manifest.graphs[precision].file))
    one, most = (
        peak_activation_bytes(model, batch=batch) for batch in (1, bundle.manifest.max_batch)
    )
    return weight_bytes(model), (one, most)


def _build_bytes(graph: GraphNeeds, *, is_jetson: bool) -> int:
    workspace = BuildOptions(max_batch=1).workspace_mib * _MIB
    activations = graph.activation_bytes[1] if graph.activation_bytes else 0
    return workspace + _COPIES * graph.weight_bytes + activations + _BUILDER_BYTES[is_jetson]


def _lacking_to_run(graphs: tuple[GraphNeeds, ...], there: int | None) -> Iterator[str]:
    for graph in graphs:
        most = graph.weight_bytes + (graph.activation_bytes or (0, 0))[1]
        yield from _lacking(f"memory to run {graph.precision}", most, there)


def _lacking(what: str, wanted: int | None, there: int | None) -> Iterator[str]:
    if wanted is not None and there is not None and wanted > there:
        yield f"{what}: {size_text(wanted)} wanted, {size_text(there)} there"
