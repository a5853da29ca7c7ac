"""The way without strong typing: TensorRT 8.6, and 10 where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from facealign.errors import TargetError
from facealign.runtime.tensorrt.build import GraphToBuild, build_plan
from facealign.runtime.tensorrt.engine import engine_from_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.conftest import SIZE_PX
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import TensorrtDouble
from tests.unit.runtime.tensorrt.made_graphs import OPTIONS, opened, to_build


@pytest.mark.parametrize("version", ["10.3", "10.16"])
def test_a_weakly_typed_build_says_so(version: str, graph: GraphToBuild) -> None:
    double = TensorrtDouble(version)

    built = build_plan(double.module, HostDevice(), graph, replace(OPTIONS, weakly_typed=True))

    options = opened(double, built).options
    strongly = 1 << int(double.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert options["network_flags"] & strongly == 0
    assert options["flags"] == []  # an FP32 graph asks for no other type
    assert "TensorRT chose types on its own" in built.notes[0]


def test_a_weakly_typed_build_asks_for_the_types_of_the_graph(graph: GraphToBuild) -> None:
    double = TensorrtDouble("10.3")

    built = build_plan(
        double.module,
        HostDevice(),
        to_build(_with_fp16_and_pair(graph.data)),
        replace(OPTIONS, weakly_typed=True),
    )

    assert opened(double, built).options["flags"] == ["FP16", "INT8"]


def _with_fp16_and_pair(data: bytes) -> bytes:
    """Return the graph with nodes that lead nowhere."""
    model = onnx.load_from_string(data)
    half = onnx.helper.make_node("Cast", ["x"], ["half"], to=onnx.TensorProto.FLOAT16)
    pair = onnx.helper.make_node("QuantizeLinear", ["x", "scale"], ["quantized"])
    model.graph.node.extend([half, pair])
    return bytes(model.SerializeToString())


def test_tensorrt_11_cannot_be_weakly_typed(graph: GraphToBuild) -> None:
    with pytest.raises(TargetError, match="always takes the types of the graph; leave out"):
        build_plan(
            TensorrtDouble("11.4").module,
            HostDevice(),
            graph,
            replace(OPTIONS, weakly_typed=True),
        )


def test_a_tensorrt_without_strong_typing_says_how_to_go_on(graph: GraphToBuild) -> None:
    with pytest.raises(TargetError, match=r"8\.6\.0 cannot be held .*pass `--weakly-typed`"):
        build_plan(TensorrtDouble("8.6").module, HostDevice(), graph, OPTIONS)


def test_a_node_that_8_6_refuses_is_said_in_its_words(graph: GraphToBuild) -> None:
    double = TensorrtDouble("8.6")
    double.refused = {"Gemm": "no Gemm of this shape"}

    with pytest.raises(TargetError, match=r"does not take the graph: In node 8 .*: no Gemm of"):
        build_plan(
            double.module,
            HostDevice(),
            to_build(_of_opset_17(graph.data)),
            replace(OPTIONS, weakly_typed=True),
        )


def test_a_weakly_typed_plan_of_8_6_gives_what_the_graph_gives(
    graph: GraphToBuild, install: Callable[..., TensorrtDouble], rng: np.random.Generator
) -> None:
    device = HostDevice()
    double = install(device, "8.6")
    old = to_build(_of_opset_17(graph.data))
    built = build_plan(double.module, device, old, replace(OPTIONS, weakly_typed=True))
    crops = rng.integers(0, 256, (2, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    expected = ort.InferenceSession(old.data).run(None, {"image": crops})[0]
    contract = PlanContract(built.data, tuple(old.inputs), tuple(old.outputs), OPTIONS.max_batch)

    engine = engine_from_plan(contract, device, closes_device=True)
    runs = [engine.run(crops)["landmarks"] for _ in range(3)]
    engine.close()

    explicit_batch = 1 << int(double.module.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    assert opened(double, built).options["network_flags"] == explicit_batch
    np.testing.assert_array_equal(runs, [expected] * 3)
    assert double.objects_alive() == {}


def _of_opset_17(data: bytes) -> bytes:
    """Return the graph as 8.6 takes it: axes were an attribute then."""
    model = onnx.load_from_string(data)
    model.opset_import[0].version = 17
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            del node.input[1:]
            node.attribute.append(onnx.helper.make_attribute("axes", [1, 2]))
    return bytes(model.SerializeToString())
