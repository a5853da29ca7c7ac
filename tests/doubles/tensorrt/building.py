"""From a graph to a plan: network, parser, config, profiles, timing cache and builder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has none
from onnx import defs

from tests.doubles.tensorrt.objects import Object
from tests.doubles.tensorrt.plain import HostMemory, ParserError, values_of
from tests.doubles.tensorrt.plan import Plan, bytes_from_plan
from tests.doubles.tensorrt.plugin_builds import (
    DATA_TYPES,
    creator_for,
    kept_of_plugin,
    plugin_of_node,
    takes_types,
)

__all__ = [
    "DATA_TYPES",
    "Builder",
    "IBuilderConfig",
    "ILayer",
    "INetworkDefinition",
    "IOptimizationProfile",
    "ITensor",
    "ITimingCache",
    "OnnxParser",
]

_PRECISION_FLAGS = ("FP16", "INT8", "BF16", "FP8", "INT4", "FP4")
_CACHE_MAGIC = b"timing-cache-double "
_MAX_OPSET = {"8.6": 17, "10.3": 20}
_NEWEST_OPSET = 24


class ITensor(Object):
    """An input or an output of the network."""

    def _set_up(self, name: str, data_type: str, shape: tuple[int, ...], *, is_input: bool) -> None:
        self._values |= {"name": name, "dtype": self._enum("DataType", data_type)}
        self._values |= {"is_network_input": is_input, "is_network_output": not is_input}
        self._values |= {"is_execution_tensor": True}
        self._shape = shape

    def _get_dtype(self) -> Any:
        return self._values["dtype"]

    def _get_shape(self) -> Any:
        return self._new("Dims", self._shape)

    def _set_shape(self, value: Any) -> None:
        self._shape = values_of(value)


class ILayer(Object):
    """A node of the graph."""

    def _set_up(self, node: onnx.NodeProto) -> None:
        self._values |= {"name": node.name, "metadata": f"[ONNX Layer: {node.name}]"}
        self._values |= {"num_inputs": len(node.input), "num_outputs": len(node.output)}


class INetworkDefinition(Object):
    """What the parser makes; without it, nothing can be added."""

    def _set_up(self, flags: int) -> None:
        self._values |= {"flags": flags, "name": ""}
        self._model = onnx.ModelProto()
        self._graph = b""
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []
        self._plugins: dict[str, Any] = {}  # by node

    def _get_num_inputs(self) -> int:
        return len(self._inputs)

    def _get_num_outputs(self) -> int:
        return len(self._outputs)

    def _get_num_layers(self) -> int:
        return len(self._model.graph.node)

    def _get_builder(self) -> Object | None:
        return self._parent

    def __len__(self) -> int:
        return len(self._model.graph.node)

    def __getitem__(self, arg0: int) -> Any:
        return self._new("ILayer", self._model.graph.node[arg0])

    def get_layer(self, index: int) -> Any:
        return self._new("ILayer", self._model.graph.node[index])

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]

    def get_flag(self, flag: Any) -> bool:
        return bool(self._values["flags"] >> int(flag) & 1)

    def _fill(self, graph: bytes, model: onnx.ModelProto, plugins: dict[str, Any]) -> None:
        self._plugins = plugins
        if plugins:
            self._state.registry.users.add(self)
        constants = {value.name for value in model.graph.initializer}
        self._graph, self._model = graph, model
        self._inputs = [
            self._tensor(value, is_input=True)
            for value in model.graph.input
            if value.name not in constants
        ]
        self._outputs = [self._tensor(value, is_input=False) for value in model.graph.output]

    def _tensor(self, value: onnx.ValueInfoProto, *, is_input: bool) -> ITensor:
        of = value.type.tensor_type
        shape = tuple(axis.dim_value if axis.HasField("dim_value") else -1 for axis in of.shape.dim)
        tensor: ITensor = self._new(
            "ITensor", value.name, DATA_TYPES[of.elem_type], shape, is_input=is_input
        )
        tensor._parent = None  # the network has it: one of the two references is enough
        return tensor


class OnnxParser(Object):
    """Reads the graph with onnx; refuses what it does not know, and what it is told to."""

    def _create(self, network: INetworkDefinition, logger: Object) -> None:
        self._network = network
        self._values |= {"logger": logger, "flags": 1}
        self._errors: list[ParserError] = []
        self._plugins: dict[str, Any] = {}

    def parse(self, model: bytes, path: str | None = None) -> bool:
        """Fill the network."""
        graph = bytes(model)
        self._errors.clear()
        proto = self._read(graph)
        if proto is None or not self._accepts(proto):
            return False
        self._network._fill(graph, proto, self._plugins)
        return True

    def parse_from_file(self, model: str) -> bool:
        """Fill the network."""
        with open(model, "rb") as file:  # noqa: PTH123  # a path as TensorRT takes it
            return bool(type(self).parse.__wrapped__(self, file.read()))  # type: ignore[attr-defined]

    def supports_model_v2(self, model: bytes, path: str | None = None) -> bool:
        """Say whether `parse` would take it; the subgraphs are then known."""
        self._errors.clear()
        proto = self._read(bytes(model))
        return proto is not None and self._accepts(proto)

    def clear_errors(self) -> None:
        self._errors.clear()

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]

    def _get_num_errors(self) -> int:
        return len(self._errors)

    def set_flag(self, flag: Any) -> None:
        self._values["flags"] |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._values["flags"] &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._values["flags"] >> int(flag) & 1)

    def supports_operator(self, op_name: str) -> bool:
        return defs.has(op_name) and op_name not in self._state.refused

    def _read(self, graph: bytes) -> onnx.ModelProto | None:
        try:
            proto = onnx.load_from_string(graph)
        except DecodeError:
            proto = onnx.ModelProto()
        if not proto.graph.node or not proto.opset_import:
            words = "Failed to parse ONNX model from bytes"
            self._errors.append(self._error("MODEL_DESERIALIZE_FAILED", words))
            return None
        opset = next(item.version for item in proto.opset_import if item.domain in {"", "ai.onnx"})
        highest = _MAX_OPSET.get(self._state.api.version, _NEWEST_OPSET)
        if opset > highest:
            words = f"opset {opset} is above {highest}"
            self._errors.append(self._error("UNSUPPORTED_GRAPH", words))
            return None
        return proto

    def _accepts(self, proto: onnx.ModelProto) -> bool:
        local = {function.name for function in proto.functions}
        self._plugins = {}
        for index, node in enumerate(proto.graph.node):
            creator = creator_for(self._state, node, has_body=node.op_type in local)
            if creator is not None:
                plugin = self._plugins[node.name] = plugin_of_node(self._state, creator, node)
                if plugin is None:
                    text = "the creator gives no plugin that is whole"
                    self._errors.append(self._error("INTERNAL_ERROR", text, node, index))
                continue
            words = self._state.refused.get(node.name) or self._state.refused.get(node.op_type)
            known = defs.has(node.op_type) or node.op_type in local  # the domain is not looked at
            if words is None and not known:
                words = "Plugin not found, are the plugin name, version, and namespace correct?"
            if words is not None:
                self._errors.append(self._error("UNSUPPORTED_NODE", words, node, index))
        return not self._errors

    def _error(
        self, code: str, words: str, node: onnx.NodeProto | None = None, index: int = -1
    ) -> ParserError:
        where = (
            f"In node {index} with name: {node.name} and operator: {node.op_type} " if node else ""
        )
        text = f"{where}(parseNode): {code}: {words}"
        self._report("INVALID_ARGUMENT", text)
        error: ParserError = self._new("ParserError", code, text, node, index)
        error._parent = None  # it is a copy: neither keeps the other
        return error


class IOptimizationProfile(Object):
    """Smallest, best and largest shape of every input."""

    def _set_up(self) -> None:
        self._shapes: dict[str, list[list[int]]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        """Keep the shapes.

        Raises:
            ValueError: If they do not grow from one to the next.
        """
        shapes = [list(values_of(shape)) for shape in (min, opt, max)]
        if len({len(shape) for shape in shapes}) != 1 or any(
            not low <= best <= high for low, best, high in zip(*shapes, strict=True)
        ):
            raise ValueError("The shape provided for min, opt or max is inconsistent.")
        self._shapes[input] = shapes

    def get_shape(self, input: str) -> list[Any]:
        return [self._new("Dims", shape) for shape in self._shapes.get(input, [])]

    def __bool__(self) -> bool:
        return bool(self._shapes)


class ITimingCache(Object):
    """Bytes that name the version, and one line per build that used it."""

    def _set_up(self, data: bytes) -> None:
        self._data = data or self._header()

    def _header(self) -> bytes:
        return _CACHE_MAGIC + self._state.api.version.encode() + b"\n"

    def serialize(self) -> HostMemory:
        return HostMemory(self._data)

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if not ignore_mismatch and not input_cache._fits():
            return False
        self._data += input_cache._data.partition(b"\n")[2]
        return True

    def reset(self) -> bool:
        self._data = self._header()
        return True

    def _fits(self) -> bool:
        return self._data.startswith(self._header())


class IBuilderConfig(Object):
    """Flags, limits and levels, recorded into the plan."""

    def _set_up(self) -> None:
        self._values |= {"builder_optimization_level": 3, "max_aux_streams": -1, "flags": 0}
        self._values["flags"] = 1 << int(self._enum("BuilderFlag", "TF32"))
        self._limits: dict[str, int] = {}
        self._profiles: list[IOptimizationProfile] = []
        self._cache: ITimingCache | None = None
        self._ignore_mismatch = False
        self._features: dict[str, bool] = {}

    def _get_num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def set_flag(self, flag: Any) -> None:
        self._values["flags"] |= 1 << int(flag)

    def clear_flag(self, flag: Any) -> None:
        self._values["flags"] &= ~(1 << int(flag))

    def get_flag(self, flag: Any) -> bool:
        return bool(self._values["flags"] >> int(flag) & 1)

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        self._limits[pool.name] = int(pool_size)

    def get_memory_pool_limit(self, pool: Any) -> int:
        return self._limits.get(pool.name, 0)

    def set_preview_feature(self, feature: Any, enable: bool) -> None:
        self._features[feature.name] = enable

    def get_preview_feature(self, feature: Any) -> bool:
        return self._features.get(feature.name, False)

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self._profiles.append(profile)
        return len(self._profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        """Return a cache, a new one from no bytes; None if the bytes are none."""
        data = bytes(serialized_timing_cache)
        if data and not data.startswith(_CACHE_MAGIC):
            self._report("INVALID_ARGUMENT", "the timing cache is corrupt")
            return None
        cache: ITimingCache = self._new("ITimingCache", data)
        return cache

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        """Take the cache, unless it is of another version."""
        if not ignore_mismatch and not cache._fits():
            self._report("INVALID_ARGUMENT", "the timing cache is of another device or version")
            return False
        self._cache, self._ignore_mismatch = cache, ignore_mismatch
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache

    def set_tactic_sources(self, tactic_sources: int) -> bool:
        self._values["tactic_sources"] = int(tactic_sources)
        return True

    def get_tactic_sources(self) -> int:
        return int(self._values.get("tactic_sources", 0))

    def _options(self) -> dict[str, Any]:
        members: dict[str, Any] = self._state.api.classes["BuilderFlag"].__members__  # type: ignore[attr-defined]
        flags = sorted(name for name, of in members.items() if self._values["flags"] >> int(of) & 1)
        plain = {
            name: getattr(value, "name", value)
            for name, value in self._values.items()
            if name not in {"flags", "error_recorder", "progress_monitor", "logger"}
        }
        return {"flags": flags, "limits": self._limits, "preview": self._features, **plain}


class Builder(Object):
    """Checks what TensorRT checks first, and writes the double's plan."""

    def _create(self, logger: Object) -> None:
        self._values["logger"] = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition | None:
        known = self._state.api.classes["NetworkDefinitionCreationFlag"].__members__  # type: ignore[attr-defined]
        if int(flags) & ~sum(1 << int(flag) for flag in known.values()):
            self._report("INVALID_ARGUMENT", f"createNetworkV2: unknown flags {flags}")
            return None
        network: INetworkDefinition = self._new("INetworkDefinition", int(flags))
        return network

    def create_builder_config(self) -> IBuilderConfig:
        config: IBuilderConfig = self._new("IBuilderConfig")
        return config

    def create_optimization_profile(self) -> IOptimizationProfile:
        profile: IOptimizationProfile = self._new("IOptimizationProfile")
        return profile

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        return self._complaint(network, config) is None

    def reset(self) -> None:
        """Do nothing: nothing is kept."""

    def build_serialized_network(
        self,
        network: INetworkDefinition,
        config: IBuilderConfig,
        kernel_text: object = None,
    ) -> HostMemory | None:
        """Return the plan, or None and a report."""
        complaint = self._complaint(network, config)
        if complaint is not None:
            self._report("INVALID_CONFIG", complaint)
            return None
        if not self._announce(config._values.get("progress_monitor"), network):
            self._report("INVALID_STATE", "the build was cancelled by the progress monitor")
            return None
        if config._cache is not None:
            config._cache._data += b"one build\n"
        options = {**config._options(), "network_flags": network._values["flags"]}
        profiles = [dict(profile._shapes) for profile in config._profiles]
        plugins = [kept_of_plugin(node, plugin) for node, plugin in network._plugins.items()]
        plan = Plan(self._state.api.version, network._graph, profiles, options, plugins)
        return HostMemory(bytes_from_plan(plan))

    def _complaint(self, network: INetworkDefinition, config: IBuilderConfig) -> str | None:
        if not network._outputs:
            return "Network must have at least one output"
        types = self._state.api.classes
        refused = [
            name
            for name, plugin in network._plugins.items()
            if not takes_types(types, network._model.graph, name, plugin)
        ]
        if refused:
            return f"could not find any supported formats consistent with the plugin {refused[0]}"
        flags = config._options()["flags"]
        clash = [name for name in _PRECISION_FLAGS if name in flags]
        if self._is_strongly_typed(network) and clash:
            return f"Strongly typed networks do not take the flag k{clash[0]}"
        dynamic = [tensor for tensor in network._inputs if -1 in tensor._shape]
        if dynamic and not config._profiles:
            return (
                "Network has dynamic or shape inputs, but no optimization profile has been defined."
            )
        return _profile_complaint(dynamic, config._profiles)

    def _is_strongly_typed(self, network: INetworkDefinition) -> bool:
        if self._state.api.version.startswith("11."):
            return True
        flags: Any = self._state.api.classes["NetworkDefinitionCreationFlag"]
        flag = flags.__members__.get("STRONGLY_TYPED")  # 8.6 has none
        return flag is not None and bool(network._values["flags"] >> int(flag) & 1)

    @staticmethod
    def _announce(monitor: Any, network: INetworkDefinition) -> bool:
        """Tell the monitor of every phase, as TensorRT nests them; return whether to go on."""
        if monitor is None:
            return True
        steps = max(1, len(network._model.graph.node))
        monitor.phase_start("Building Engine", None, 2)
        goes_on = True
        for number, phase in enumerate(("Graph Optimization", "Tactic Selection")):
            monitor.phase_start(phase, "Building Engine", steps)
            for step in range(steps):
                goes_on = goes_on and monitor.step_complete(phase, step)
            monitor.phase_finish(phase)
            goes_on = goes_on and monitor.step_complete("Building Engine", number)
        monitor.phase_finish("Building Engine")
        return bool(goes_on)


def _profile_complaint(
    dynamic: Sequence[ITensor], profiles: Sequence[IOptimizationProfile]
) -> str | None:
    for number, profile in enumerate(profiles):
        for tensor in dynamic:
            name = tensor._values["name"]
            if name not in profile._shapes:
                return f"Dynamic input {name} is missing dimensions in profile {number}."
            for shape in profile._shapes[name]:
                fits = len(shape) == len(tensor._shape) and all(
                    expected in {-1, got}
                    for expected, got in zip(tensor._shape, shape, strict=True)
                )
                if not fits or min(shape) < 1:
                    return f"profile {number}: input {name} {list(tensor._shape)} cannot be {shape}"
    return None
