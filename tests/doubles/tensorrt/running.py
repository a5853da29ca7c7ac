"""From a plan to outputs: runtime, engine, context and inspector; ONNX Runtime does the work."""

from __future__ import annotations

import functools
import json
import threading
import weakref
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from tests.doubles.tensorrt.objects import Object
from tests.doubles.tensorrt.plain import HostMemory, values_of
from tests.doubles.tensorrt.plan import Plan, PlanError, bytes_from_plan, plan_from_bytes
from tests.doubles.tensorrt.plugin_builds import DATA_TYPES
from tests.doubles.tensorrt.plugin_runs import PluginCall, StagedSession
from tests.doubles.tensorrt.plugins import PluginField, PluginFieldCollection, called, check_whole

__all__ = ["EngineInspector", "ICudaEngine", "IExecutionContext", "Runtime"]

_NUMPY = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
_SILENT = 4
_RUBBISH = 0xEE
_SCRATCH_BYTES = 4096


class Runtime(Object):
    """Opens plans of its own version."""

    def _create(self, logger: Object) -> None:
        self._values["logger"] = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """Return the engine, or None and a report."""
        try:
            plan = plan_from_bytes(bytes(serialized_engine), version=self._state.api.version)
        except PlanError as error:
            self._report("INTERNAL_ERROR", str(error))
            return None
        plugins = [self._plugin(kept) for kept in plan.plugins]
        if None in plugins:
            return None
        engine: ICudaEngine = self._new("ICudaEngine", plan, plugins)
        return engine

    def _plugin(self, kept: dict[str, Any]) -> Any:
        """Return a plugin of a plan, or None and a report."""
        creator = self._state.registry.get_creator(*kept["names"])
        if creator is None:
            words = "Cannot deserialize plugin since corresponding IPluginCreator not found"
            self._report("INTERNAL_ERROR", f"{words} in Plugin Registry")
            return None
        arrays = {name: np.array(numbers, np.int32) for name, numbers in kept["fields"].items()}
        kind = self._enum("PluginFieldType", "INT32")
        fields = PluginFieldCollection(PluginField(*item, kind) for item in arrays.items())
        phase = self._enum("TensorRTPhase", "RUNTIME")
        plugin = called("create_plugin", creator.create_plugin, kept["node"], fields, phase)
        if plugin is None or check_whole(plugin):
            self._report("INTERNAL_ERROR", "the creator gives no plugin that is whole")
            return None
        return plugin


class ICudaEngine(Object):
    """Named inputs and outputs of one plan."""

    def _set_up(self, plan: Plan, plugins: list[Any]) -> None:
        self._plugins = plugins
        if plugins:
            self._state.registry.users.add(self)
        graph = onnx.load_from_string(plan.graph).graph
        constants = {value.name for value in graph.initializer}
        inputs = [value for value in graph.input if value.name not in constants]
        self._plan = plan
        self._io = {value.name: _described(value) for value in [*inputs, *graph.output]}
        self._input_names = [value.name for value in inputs]
        self._layer_names = [node.name or f"node_of_{node.output[0]}" for node in graph.node]
        nodes = [kept["node"] for kept in plan.plugins]
        self._session = StagedSession(plan.graph, nodes, _session)

    def _get_num_io_tensors(self) -> int:
        return len(self._io)

    def _get_num_layers(self) -> int:
        return len(self._layer_names)

    def _get_num_optimization_profiles(self) -> int:
        return max(1, len(self._plan.profiles))

    def _get_device_memory_size_v2(self) -> int:
        return _SCRATCH_BYTES

    def _get_device_memory_size(self) -> int:
        return _SCRATCH_BYTES

    def get_tensor_name(self, index: int) -> str:
        """Return the name of an input or output.

        Raises:
            RuntimeError: If there is none; TensorRT gives nullptr, of which pybind makes None.
        """
        names: list[str] = list(self._io)
        if not 0 <= index < len(names):
            raise RuntimeError(f"getIOTensorName: index {index} is out of range")
        return names[index]

    def __getitem__(self, arg0: int) -> str:
        names: list[str] = list(self._io)
        return names[arg0]

    def get_tensor_mode(self, name: str) -> Any:
        member = "INPUT" if name in self._input_names else "OUTPUT"
        return self._enum("TensorIOMode", member if name in self._io else "NONE")

    def get_tensor_dtype(self, name: str) -> Any:
        return self._enum("DataType", self._io[name][0] if name in self._io else "FLOAT")

    def get_tensor_shape(self, name: str) -> Any:
        return self._new("Dims", self._io[name][1] if name in self._io else ())

    def get_tensor_location(self, name: str) -> Any:
        return self._enum("TensorLocation", "DEVICE")

    def get_tensor_format(self, name: str, profile_index: int = 0) -> Any:
        return self._enum("TensorFormat", "LINEAR")

    def get_tensor_format_desc(self, name: str, profile_index: int = 0) -> str:
        return "Row major linear format (kLINEAR)"

    def get_tensor_bytes_per_component(self, name: str, profile_index: int = 0) -> int:
        return int(np.dtype(_NUMPY[self._io[name][0]]).itemsize)

    def is_shape_inference_io(self, name: str) -> bool:
        return False

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        """Return smallest, best and largest shape; empty if there is no such input or profile."""
        if name not in self._input_names or not 0 <= profile_index < max(
            1, len(self._plan.profiles)
        ):
            self._report("INVALID_ARGUMENT", f"getProfileShape: no {name} in {profile_index}")
            return []
        return [self._new("Dims", shape) for shape in self._limits(name, profile_index)]

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        return _SCRATCH_BYTES

    def create_execution_context(self, strategy: Any = None) -> IExecutionContext:
        is_user_managed = strategy is not None and strategy.name == "USER_MANAGED"
        context: IExecutionContext = self._new("IExecutionContext", needs_memory=is_user_managed)
        return context

    def create_execution_context_without_device_memory(self) -> IExecutionContext:
        context: IExecutionContext = self._new("IExecutionContext", needs_memory=True)
        return context

    def create_engine_inspector(self) -> EngineInspector:
        inspector: EngineInspector = self._new("EngineInspector")
        return inspector

    def serialize(self) -> HostMemory:
        return HostMemory(bytes_from_plan(self._plan))

    def _layer_facts(self) -> list[dict[str, str]]:
        return [
            {"Name": f"__myl_{i}", "LayerType": "kgen", "Metadata": f"[ONNX Layer: {name}]"}
            for i, name in enumerate(self._layer_names)
        ]

    def _limits(self, name: str, profile: int) -> list[list[int]]:
        if self._plan.profiles and name in self._plan.profiles[profile]:
            return self._plan.profiles[profile][name]
        return [list(self._io[name][1])] * 3


class EngineInspector(Object):
    """Names of layers."""

    def _set_up(self) -> None:
        """Nothing to keep: the engine is its parent."""

    def get_engine_information(self, format: Any) -> str:
        engine: Any = self._parent
        layers = engine._layer_names
        if not int(format):
            return "\n".join(layers)
        # At build time DETAILED adds what a layer was made of; else layers are names.
        is_detailed = engine._plan.options.get("profiling_verbosity") == "DETAILED"
        return json.dumps({"Layers": engine._layer_facts() if is_detailed else layers})

    def get_layer_information(self, layer_index: int, format: Any) -> str:
        engine: Any = self._parent
        return str(engine._layer_names[layer_index])


class IExecutionContext(Object):
    """One run at a time: shapes, addresses, and work on a stream."""

    def _set_up(self, *, needs_memory: bool) -> None:
        self._needs_memory = needs_memory
        attached = [plugin.attach_to_context(None) for plugin in self._engine._plugins]
        self._plugins = attached
        self._calls: dict[tuple[tuple[int, ...], ...], list[PluginCall]] = {}
        self._values["enqueue_emits_profile"] = True
        self._memory: tuple[int, int] | None = None
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._busy = threading.Lock()
        self._output_shapes: dict[tuple[tuple[int, ...], ...], dict[str, tuple[int, ...]]] = {}

    @property
    def _engine(self) -> ICudaEngine:
        engine: Any = self._parent
        return engine  # type: ignore[no-any-return]  # a context is made by an engine

    def _get_engine(self) -> ICudaEngine:
        return self._engine

    def _get_active_optimization_profile(self) -> int:
        return self._profile

    def _get_all_binding_shapes_specified(self) -> bool:
        return not self._unknown_inputs()

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if not 0 <= profile_index < max(1, len(self._engine._plan.profiles)):
            self._report("INVALID_ARGUMENT", f"setOptimizationProfileAsync: no {profile_index}")
            return False
        self._profile = int(profile_index)
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        """Take a shape within the active profile."""
        if name not in self._engine._input_names:
            self._report("INVALID_ARGUMENT", f"setInputShape: {name!r} is no input")
            return False
        wanted = values_of(shape)
        low, _, high = self._engine._limits(name, self._profile)
        inside = len(wanted) == len(low) and all(
            a <= b <= c for a, b, c in zip(low, wanted, high, strict=True)
        )
        if not inside:
            self._report(
                "INVALID_ARGUMENT",
                f"setInputShape: {name} {list(wanted)} is not between {low} and {high} of "
                f"profile {self._profile}",
            )
            return False
        self._shapes[name] = wanted
        return True

    def get_tensor_shape(self, name: str) -> Any:
        if name in self._shapes:
            return self._new("Dims", self._shapes[name])
        if name in self._engine._input_names or self._unknown_inputs():
            return self._engine.get_tensor_shape(name)
        return self._new("Dims", self._result_shapes()[name])

    def infer_shapes(self) -> list[str]:
        """Return the inputs whose shape is not known."""
        return self._unknown_inputs()

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._io:
            self._report("INVALID_ARGUMENT", f"setTensorAddress: no tensor {name!r}")
            return False
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        return self._addresses.get(name, 0)

    def set_device_memory(self, memory: int, size: int) -> None:
        if int(size) < self._engine._get_device_memory_size_v2():
            self._report("INVALID_ARGUMENT", f"setDeviceMemoryV2: {size} bytes are too few")
        self._memory = (int(memory), int(size))

    def _set_device_memory(self, memory: int) -> None:
        self._memory = (int(memory), self._engine._get_device_memory_size())

    def get_max_output_size(self, name: str) -> int:
        data_type, shape = self._engine._io[name]
        largest = {
            n: tuple(self._engine._limits(n, self._profile)[2]) for n in self._engine._input_names
        }
        batch = max(axes[0] for axes in largest.values())
        size = int(np.prod([batch if axis < 0 else axis for axis in shape]))
        return size * int(np.dtype(_NUMPY[data_type]).itemsize)

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Queue one run at the addresses and shapes of now."""
        if not self._busy.acquire(blocking=False):
            self._report("INVALID_STATE", "a context was used by two threads at once")
            return False
        try:
            return self._queue(int(stream_handle))
        finally:
            self._busy.release()

    def _queue(self, stream_handle: int) -> bool:
        unknown = self._unknown_inputs()
        unset = [name for name in self._engine._io if not self._addresses.get(name)]
        if unknown or unset:
            self._report(
                "INVALID_STATE", f"enqueueV3: no shape of {unknown}, no address of {unset}"
            )
            return False
        shapes = {**self._shapes, **self._result_shapes()}
        work = functools.partial(_execute, weakref.ref(self), dict(self._addresses), shapes)
        cuda = self._state.cuda
        if cuda is None or stream_handle == 0:
            self._report("INVALID_ARGUMENT", f"enqueueV3: no such stream: {stream_handle:#x}")
            return False
        if self._needs_memory and self._memory is None:
            self._report("INVALID_STATE", "enqueueV3: the context has no device memory")
            return False
        try:
            if self._memory is not None:
                cuda.view(*self._memory)
            for name, address in self._addresses.items():
                cuda.view(address, self._size(name, shapes[name]))
            for number, call in enumerate(self._plugin_calls()):
                filling = (weakref.ref(self), number, dict(self._addresses), shapes)
                cuda.enqueue(stream_handle, functools.partial(_fill, *filling))
                if not call.enqueue(stream_handle):
                    self._report("FAILED_EXECUTION", "enqueueV3: a plugin failed")
                    return False
            cuda.enqueue(stream_handle, work)
        except ValueError as error:
            self._report("FAILED_EXECUTION", f"enqueueV3: CUDA error: {error}")
            return False
        return True

    def _execute(self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]) -> None:
        """Run the graph on what is at the addresses when the stream gets there."""
        cuda, engine = self._state.cuda, self._engine
        if cuda is None:
            raise RuntimeError("the double has no CUDA")
        if self._memory is not None:
            cuda.view(*self._memory)[:] = _RUBBISH  # nothing in it lasts from run to run
        views = self._views(addresses, shapes)
        names = [name for name in engine._io if name not in engine._input_names]
        calls = self._plugin_calls(shapes)
        outputs = engine._session.stage(len(calls), self._known(views, calls))
        self._state.executions += 1
        self._tell_profiler()
        for name in names:
            views[name][...] = outputs[name]

    def _fill(
        self, number: int, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]
    ) -> None:
        """Compute what a plugin reads."""
        calls = self._plugin_calls(shapes)
        known = self._known(self._views(addresses, shapes), calls[:number])
        calls[number].fill(self._engine._session.stage(number, known))

    def _views(
        self, addresses: dict[str, int], shapes: dict[str, tuple[int, ...]]
    ) -> dict[str, NDArray[Any]]:
        cuda = self._state.cuda
        if cuda is None:
            raise RuntimeError("the double has no CUDA")
        return {
            name: cuda.view(address, self._size(name, shapes[name]))
            .view(_NUMPY[self._engine._io[name][0]])
            .reshape(shapes[name])
            for name, address in addresses.items()
        }

    def _known(
        self, views: dict[str, NDArray[Any]], calls: list[PluginCall]
    ) -> dict[str, NDArray[Any]]:
        """Return the inputs of the graph, and what plugins gave."""
        inputs = {name: views[name] for name in self._engine._input_names}
        return {**inputs, **{call.output_name: call.output for call in calls}}

    def _plugin_calls(self, shapes: dict[str, tuple[int, ...]] | None = None) -> list[PluginCall]:
        """Return the plugins at the shapes of now or of a run, by a run on zeros the first time."""
        engine, shapes = self._engine, shapes or self._shapes
        key = tuple(shapes.get(name, engine._io[name][1]) for name in engine._input_names)
        if key not in self._calls:
            known: dict[str, NDArray[Any]] = {
                name: np.zeros(shape, _NUMPY[engine._io[name][0]])
                for name, shape in zip(engine._input_names, key, strict=True)
            }
            calls = self._calls[key] = []
            for number, plugin in enumerate(self._plugins):
                node = engine._session.nodes[number]
                known |= engine._session.stage(number, known)
                inputs = {name: known[name] for name in node.input}
                call = PluginCall(plugin, inputs, node.output[0], self._state.api.classes)
                known[call.output_name] = np.zeros_like(call.output)
                calls.append(call)
        return self._calls[key]

    def _tell_profiler(self) -> None:
        """Report a made-up time for each layer, as every run does that nobody asked to wait."""
        profiler = self._values.get("profiler")
        if profiler is None or not self._values["enqueue_emits_profile"]:
            return
        engine = self._engine
        is_detailed = engine._plan.options.get("profiling_verbosity") == "DETAILED"
        facts = engine._layer_facts()
        for index, name in enumerate(engine._layer_names):
            layer = facts[index]["Name"] if is_detailed else name
            profiler.report_layer_time(layer, 0.25 * (index + 1))

    def _size(self, name: str, shape: tuple[int, ...]) -> int:
        return int(np.prod(shape)) * int(np.dtype(_NUMPY[self._engine._io[name][0]]).itemsize)

    def _unknown_inputs(self) -> list[str]:
        return [
            name
            for name in self._engine._input_names
            if name not in self._shapes and -1 in self._engine._io[name][1]
        ]

    def _result_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the outputs, by a run on zeros the first time."""
        engine = self._engine
        shapes = {name: self._shapes.get(name, engine._io[name][1]) for name in engine._input_names}
        key = tuple(shapes.values())
        if key not in self._output_shapes:
            zeros: dict[str, NDArray[Any]] = {
                n: np.zeros(shape, _NUMPY[engine._io[n][0]]) for n, shape in shapes.items()
            }
            names = [name for name in engine._io if name not in engine._input_names]
            calls = self._plugin_calls(shapes)
            patches = {call.output_name: np.zeros_like(call.output) for call in calls}
            found = engine._session.stage(len(calls), {**zeros, **patches})
            self._output_shapes[key] = {name: found[name].shape for name in names}
        return {**self._output_shapes[key], **shapes}


def _execute(
    context: weakref.ref[IExecutionContext],
    addresses: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    """Run what was queued; a queue keeps no context alive, as TensorRT's does not."""
    alive = context()
    if alive is None:
        raise RuntimeError("a context was freed before its work had run")
    alive._execute(addresses, shapes)


def _fill(
    context: weakref.ref[IExecutionContext],
    number: int,
    addresses: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    alive = context()
    if alive is None:
        raise RuntimeError("a context was freed before its work had run")
    alive._fill(number, addresses, shapes)


def _described(value: onnx.ValueInfoProto) -> tuple[str, tuple[int, ...]]:
    of = value.type.tensor_type
    axes = [axis.dim_value if axis.HasField("dim_value") else -1 for axis in of.shape.dim]
    return DATA_TYPES[of.elem_type], tuple(axes)


def _session(graph: bytes) -> Any:  # ONNX Runtime has no types
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = 1
    # Q/DQ pairs round as they are written, whatever integer kernels this CPU has.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
