"""Graph to plan: one way for TensorRT 10.3 to 11.4, not run on a GPU yet.

All precision is in the graph, and TensorRT is held to it by strong typing. Before 10 it cannot be;
`weakly_typed` is then the way, and the self-test decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from facealign.errors import IntegrityError
from facealign.runtime.tensorrt.build_config import (
    TimingCache,
    configure,
    set_profile,
    use_timing_cache,
)
from facealign.runtime.tensorrt.build_graph_types import graph_types
from facealign.runtime.tensorrt.build_log import (
    BuildLog,
    BuildState,
    BuildWatch,
    build_logger,
    progress_monitor,
)
from facealign.runtime.tensorrt.build_network import check_network, network_flags, parse_graph
from facealign.runtime.tensorrt.build_options import BuildOptions
from facealign.runtime.tensorrt.build_plugins import GraphPlugins, plugins_of_graph
from facealign.runtime.tensorrt.build_run import run_watched
from facealign.runtime.tensorrt.device.protocol import Device
from facealign.runtime.tensorrt.library import tensorrt_version
from facealign.spec import TensorSpec

__all__ = ["BuiltPlan", "GraphToBuild", "build_plan"]

Tell = Callable[[BuildState], None]


@dataclass(frozen=True, slots=True)
class GraphToBuild:
    """A graph, and what it is by its bundle.

    Attributes:
        data: ONNX.
        sha256: What it must hash to, lower-case hex.
        inputs: Exactly one, the crops.
        outputs: All of them.
    """

    data: bytes
    sha256: str
    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """What TensorRT gave, what a user should know about it, and the plugins that it needs."""

    data: bytes
    notes: tuple[str, ...]
    plugins: tuple[str, ...] = ()


def build_plan(
    trt: ModuleType,
    device: Device,
    graph: GraphToBuild,
    options: BuildOptions,
    *,
    timing_cache: Path | None = None,
    on_progress: Tell | None = None,
) -> BuiltPlan:
    """Return the plan of a graph for the open device; nothing is written but the timing cache.

    Args:
        trt: The module `tensorrt`.
        device: What to build for; its context becomes current in the thread that builds.
        graph: What to build.
        options: How.
        timing_cache: Read before and written after the build.
        on_progress: Called some times a second in this thread; what it raises cancels the build.

    Raises:
        IntegrityError: If the graph is not what its bundle has; TensorRT has not seen it then.
        TargetError: If this TensorRT does not take a node, or has no such option.
        GraphContractError: If TensorRT reads other inputs or outputs than the bundle has.
        BackendError: If TensorRT fails, in its words; or if the graph needs a plugin of ours and
            nothing compiles its kernel.
    """
    options.check()
    if hashlib.sha256(graph.data).hexdigest() != graph.sha256:
        raise IntegrityError(
            "the graph is not the one that the bundle was made with; it is not built. "
            "Copy the bundle again"
        )
    watch = BuildWatch()
    cache = None if timing_cache is None else TimingCache(timing_cache)
    # Closed when the builder is freed, also behind an error: TensorRT uses them until then.
    with closing(plugins_of_graph(trt, graph.data, device)) as plugins:
        builder = _Builder(trt, device, graph, options, watch, plugins)
        data = run_watched(lambda: builder.build(cache), watch, on_progress)
    notes = [_WEAK] if options.weakly_typed else []
    notes += [cache.note] if cache is not None and cache.note else []
    return BuiltPlan(data, (*notes, *plugins.notes), plugins.needed)


_WEAK = (
    "weakly typed: TensorRT chose types on its own, so what was verified on the workstation does "
    "not speak for this plan; its self-test does"
)


class _Builder:
    """The steps of one build, all in one thread; what TensorRT made is freed when it ends."""

    def __init__(
        self,
        trt: ModuleType,
        device: Device,
        graph: GraphToBuild,
        options: BuildOptions,
        watch: BuildWatch,
        plugins: GraphPlugins,
    ) -> None:
        self._trt = trt
        self._device = device
        self._graph = graph
        self._options = options
        self._watch = watch
        self._plugins = plugins
        self._log = BuildLog(tensorrt_version(trt))

    def build(self, cache: TimingCache | None) -> bytes:
        try:
            self._device.make_current()
            with self._log.failing_to("build the plan"), self._plugins.registered.making():
                return self._build(cache)
        finally:
            if cache is not None:
                cache.used = None

    def _build(self, cache: TimingCache | None) -> bytes:
        trt, log = self._trt, self._log
        logger = build_logger(trt, log)
        builder = trt.Builder(logger)
        network = self._network(builder, logger)
        config = self._made(builder.create_builder_config(), "make a configuration")
        self._configure(builder, config)
        if cache is not None:
            use_timing_cache(config, cache, log)
        monitor = progress_monitor(trt, self._watch)
        if monitor is not None:
            config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
        data = bytes(self._made(plan, "build the plan"))
        if cache is not None:
            cache.save()
        return data

    def _network(self, builder: Any, logger: Any) -> Any:  # noqa: ANN401  # of TensorRT
        trt, graph = self._trt, self._graph
        weakly_typed = self._options.weakly_typed
        flags = network_flags(trt, version=self._log.version, weakly_typed=weakly_typed)
        network = self._made(builder.create_network(flags), "make a network")
        parse_graph(trt, trt.OnnxParser(network, logger), graph.data, self._log)
        with self._log.failing_to("read the network back"):
            check_network(trt, network, inputs=graph.inputs, outputs=graph.outputs)
        return network

    def _configure(self, builder: Any, config: Any) -> None:  # noqa: ANN401  # of TensorRT
        types, version = graph_types(self._graph.data), self._log.version
        configure(self._trt, config, self._options, types, version=version)
        if not set_profile(builder, config, self._graph.inputs[0], self._options):
            raise self._log.failure("take the batch sizes")

    def _made(self, item: Any, job: str) -> Any:  # noqa: ANN401  # of TensorRT
        """Return what a call gave.

        Raises:
            BackendError: If that is nothing.
        """
        if item is None:
            raise self._log.failure(job)
        return item
