"""The TensorRT double itself: it refuses what a version has not."""

from __future__ import annotations

import gc
import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import VERSIONS, DoubleLimitError, TensorrtDouble
from tests.unit.runtime.tensorrt.conftest import SIZE_PX


@pytest.fixture(params=VERSIONS)
def double(request: pytest.FixtureRequest) -> TensorrtDouble:
    return TensorrtDouble(request.param, HostDevice())


Call = Callable[[Any, Any], object]


def logger_of(double: TensorrtDouble) -> Any:  # noqa: ANN401  # of a class made at run time
    return double.module.Logger(double.module.Logger.ERROR)


def builder_of(double: TensorrtDouble) -> tuple[Any, Any, Any]:
    """Return a builder, a config with a profile, and a strongly typed network."""
    trt = double.module
    builder = trt.Builder(logger_of(double))
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    shapes = [(batch, SIZE_PX, SIZE_PX, 3) for batch in (1, 2, 4)]
    profile.set_shape("image", *shapes)
    config.add_optimization_profile(profile)
    return builder, config, builder.create_network(flags)


@pytest.mark.parametrize(
    ("version", "value"), [("10.3", 1), ("10.13", 1), ("10.16", 1), ("11.1", 0), ("11.4", 0)]
)
def test_enum_values_are_those_of_the_version(version: str, value: int) -> None:
    trt = TensorrtDouble(version).module

    assert int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) == value


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("owner", "name", "having"),
    [
        ("BuilderFlag", "FP16", {"10.3", "10.13", "10.16"}),
        ("BuilderFlag", "TF32", set(VERSIONS)),
        ("Builder", "platform_has_fast_fp16", {"10.3", "10.13", "10.16"}),
        ("IBuilderConfig", "int8_calibrator", {"10.3", "10.13", "10.16"}),
        ("IBuilderConfig", "max_num_tactics", {"10.13", "10.16", "11.1", "11.4"}),
        ("HardwareCompatibilityLevel", "SAME_COMPUTE_CAPABILITY", set(VERSIONS) - {"10.3"}),
        ("Builder", "build_engine", set()),
    ],
)
def test_members_are_those_of_the_version(
    version: str, owner: str, name: str, having: set[str]
) -> None:
    trt = TensorrtDouble(version).module

    assert hasattr(getattr(trt, owner), name) == (version in having)


def test_a_module_has_no_other_names(double: TensorrtDouble) -> None:
    with pytest.raises(AttributeError, match="module 'tensorrt' has no attribute 'UffParser'"):
        _ = double.module.UffParser


def test_what_only_the_double_lacks_is_said_to_be_that(double: TensorrtDouble) -> None:
    with pytest.raises(DoubleLimitError, match=r"the double has no tensorrt\.Refitter"):
        _ = double.module.Refitter


@pytest.mark.parametrize(
    "call",
    [
        lambda builder, _: builder.create_network(1, 2),
        lambda builder, _: builder.create_network(flag=1),
        lambda builder, _: builder.create_network("1"),
        lambda _, config: config.set_flag(3),
        lambda _, config: config.set_memory_pool_limit(0, 1 << 20),
        lambda _, config: config.set_timing_cache(b"", ignore_mismatch=False),
        lambda builder, config: builder.build_serialized_network(config, builder),
    ],
    ids=["too many", "other name", "text", "int for enum", "int for pool", "bytes", "swapped"],
)
def test_calls_with_other_arguments_are_refused(double: TensorrtDouble, call: Call) -> None:
    builder, config, _ = builder_of(double)

    with pytest.raises(TypeError, match="incompatible function arguments"):
        call(builder, config)


def test_attributes_that_are_not_there_cannot_be_set(double: TensorrtDouble) -> None:
    _, config, _ = builder_of(double)

    with pytest.raises(AttributeError, match="'max_workspace_size'"):
        config.max_workspace_size = 1


def test_properties_take_their_type_only(double: TensorrtDouble) -> None:
    _, config, _ = builder_of(double)

    with pytest.raises(TypeError, match="`builder_optimization_level` takes int"):
        config.builder_optimization_level = "3"


def test_an_interface_must_be_initialised(double: TensorrtDouble) -> None:
    class Forgetful(double.module.ILogger):  # type: ignore[misc, name-defined]  # has no types
        def __init__(self) -> None:
            pass

        def log(self, severity: object, msg: str) -> None:
            pass

    with pytest.raises(TypeError, match="must be called when overriding __init__"):
        double.module.Runtime(Forgetful())


def test_the_parser_names_the_node_that_it_refuses(
    double: TensorrtDouble, tiny_graph: bytes
) -> None:
    _, _, network = builder_of(double)
    parser = double.module.OnnxParser(network, logger_of(double))
    double.refused["ReduceMean"] = "no importer"

    is_parsed = parser.parse(tiny_graph)

    error = parser.get_error(0)
    assert (is_parsed, parser.num_errors) == (False, 3)
    assert (error.node(), error.node_operator()) == (4, "ReduceMean")
    assert "no importer" in error.desc()


def test_a_plan_holds_what_it_was_built_with(double: TensorrtDouble, tiny_graph: bytes) -> None:
    builder, config, network = builder_of(double)
    parser = double.module.OnnxParser(network, logger_of(double))
    assert parser.parse(tiny_graph)

    plan = builder.build_serialized_network(network, config)
    file = io.BytesIO()
    file.write(plan)
    engine = double.module.Runtime(logger_of(double)).deserialize_cuda_engine(file.getvalue())

    assert plan.nbytes == len(file.getvalue())
    assert [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)] == [
        "image",
        "landmarks",
    ]
    assert [tuple(shape) for shape in engine.get_tensor_profile_shape("image", 0)] == [
        (batch, SIZE_PX, SIZE_PX, 3) for batch in (1, 2, 4)
    ]


def test_memory_of_a_plan_has_no_length(double: TensorrtDouble, tiny_graph: bytes) -> None:
    builder, config, network = builder_of(double)
    double.module.OnnxParser(network, logger_of(double)).parse(tiny_graph)
    plan = builder.build_serialized_network(network, config)

    with pytest.raises(TypeError, match=r"has no len\(\)"):
        len(plan)


@pytest.mark.parametrize("version", ["10.3", "10.16"])
def test_a_strongly_typed_build_refuses_precision_flags(version: str, tiny_graph: bytes) -> None:
    double = TensorrtDouble(version)
    builder, config, network = builder_of(double)
    double.module.OnnxParser(network, logger_of(double)).parse(tiny_graph)
    config.set_flag(double.module.BuilderFlag.FP16)

    assert builder.build_serialized_network(network, config) is None


@pytest.mark.parametrize(
    ("shape", "is_taken"),
    [((1, 16, 16, 3), True), ((4, 16, 16, 3), True), ((5, 16, 16, 3), False), ((1, 16, 3), False)],
)
def test_a_context_takes_shapes_of_its_profile_only(
    tiny_graph: bytes, shape: tuple[int, ...], is_taken: bool
) -> None:
    _, context = context_of(TensorrtDouble("10.3", HostDevice()), tiny_graph)

    assert context.set_input_shape("image", shape) == is_taken


def test_a_run_without_addresses_is_refused(tiny_graph: bytes) -> None:
    device = HostDevice()
    _, context = context_of(TensorrtDouble("10.3", device), tiny_graph)
    context.set_input_shape("image", (1, 16, 16, 3))

    assert not context.execute_async_v3(device.stream().handle)


def test_a_run_on_freed_memory_is_refused(tiny_graph: bytes) -> None:
    device = HostDevice()
    _, context = context_of(TensorrtDouble("10.3", device), tiny_graph)
    buffers = [device.device_buffer(4096) for _ in range(2)]
    context.set_input_shape("image", (1, 16, 16, 3))
    for name, buffer in zip(("image", "landmarks"), buffers, strict=True):
        context.set_tensor_address(name, buffer.address)
    buffers[1].close()

    assert not context.execute_async_v3(device.stream().handle)


def test_a_context_without_its_scratch_memory_is_refused(tiny_graph: bytes) -> None:
    device = HostDevice()
    double = TensorrtDouble("10.3", device)
    strategy = double.module.ExecutionContextAllocationStrategy.USER_MANAGED
    engine, _ = context_of(double, tiny_graph)
    context = engine.create_execution_context(strategy)
    context.set_input_shape("image", (1, 16, 16, 3))
    for name in ("image", "landmarks"):
        context.set_tensor_address(name, device.device_buffer(4096).address)

    assert not context.execute_async_v3(device.stream().handle)


@pytest.mark.usefixtures("fast_collection")
def test_objects_are_counted_until_they_are_freed(tiny_graph: bytes) -> None:
    double = TensorrtDouble("10.3", HostDevice())
    engine, context = context_of(double, tiny_graph)
    alive = double.objects_alive()

    del engine, context
    gc.collect()

    assert alive == {"Runtime": 1, "ICudaEngine": 1, "IExecutionContext": 1}
    assert double.objects_alive() == {}


def context_of(double: TensorrtDouble, graph: bytes) -> tuple[Any, Any]:
    """Return an engine on the graph and a context of it."""
    builder, config, network = builder_of(double)
    parser = double.module.OnnxParser(network, logger_of(double))
    assert parser.parse(graph)
    plan = bytes(builder.build_serialized_network(network, config))
    engine = double.module.Runtime(logger_of(double)).deserialize_cuda_engine(plan)
    return engine, engine.create_execution_context()
