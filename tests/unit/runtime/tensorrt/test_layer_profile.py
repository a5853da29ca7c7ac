"""Layers are timed by TensorRT's profiler, and told which nodes of the graph they hold."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np
import onnx.parser
import pytest
from numpy.typing import NDArray

from facealign.errors import BackendError, GraphContractError, IntegrityError, UsageError
from facealign.runtime.tensorrt.layer_profile import (
    nodes_of_layer,
    operators_of_graph,
    profile_plan,
)
from facealign.runtime.tensorrt.loaded_plan import LoadedPlan, load_plan
from facealign.runtime.tensorrt.plan_contract import PlanContract
from tests.doubles.host_device import HostDevice
from tests.doubles.tensorrt import VERSIONS, Plan, TensorrtDouble, bytes_from_plan, plan_from_bytes
from tests.unit.runtime.tensorrt.conftest import MAX_BATCH, SIZE_PX, Install

CROPS: NDArray[np.uint8] = np.zeros((2, SIZE_PX, SIZE_PX, 3), np.uint8)
# Of `tiny_graph`, whose nodes have no names, so that they are called by what they give.
OPERATORS = {
    "node_of_float": "Cast",
    "node_of_x": "Mul",
    "node_of_features": "Concat",
    "node_of_flat": "Gemm",
    "node_of_mean": "ReduceMean",
}
KNOWN = {"conv_1": 0, "relu_1": 0, "relu.2": 0, "conv_3": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_profile_plan_times_every_layer(
    version: str, install: Install, device: HostDevice, contract: PlanContract
) -> None:
    install(device, version)
    plan = replace(contract, data=_plan(contract, version))

    layers = profile_plan(plan, device, CROPS, operators=OPERATORS, run_count=4)

    assert [layer.name for layer in layers][:3] == [
        "node_of_float",
        "node_of_x",
        "node_of_x_times_x",
    ]
    # The double reports 0.25 ms for the first layer, and 0.25 ms more for each that follows.
    assert [layer.average_ms for layer in layers] == [0.25 * i for i in range(1, 11)]
    assert [layer.median_ms for layer in layers] == [0.25 * i for i in range(1, 11)]
    assert [layer.percentage for layer in layers] == [
        pytest.approx(100 * i / 55) for i in range(1, 11)
    ]


@pytest.mark.usefixtures("double")
def test_profile_plan_maps_layers_to_operators(device: HostDevice, contract: PlanContract) -> None:
    layers = profile_plan(contract, device, CROPS, operators=OPERATORS, run_count=2)

    assert {layer.name: layer.operator for layer in layers if layer.nodes} == OPERATORS
    assert [layer.operator for layer in layers].count("TensorRT") == 5  # nodes not told of


@pytest.mark.usefixtures("double")
def test_profile_plan_reads_the_nodes_of_a_layer_out_of_its_metadata(
    device: HostDevice, contract: PlanContract
) -> None:
    detailed = replace(contract, data=_plan(contract, "10.3", verbosity="DETAILED"))

    layers = profile_plan(detailed, device, CROPS, operators=OPERATORS, run_count=1)

    assert layers[8].name == "__myl_8"
    assert (layers[8].nodes, layers[8].operator) == (("node_of_flat",), "Gemm")


@pytest.mark.usefixtures("double")
def test_profile_plan_takes_the_control_characters_between_nodes(
    device: HostDevice, contract: PlanContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = '{"Layers": [{"Name": "node_of_x", "Metadata": "[ONNX Layer: a]\x1f[ONNX Layer: b]"}]}'
    monkeypatch.setattr(LoadedPlan, "layer_information", lambda _: said)

    held = {"a": "ReduceMean", "b": "Gemm"}
    layers = profile_plan(contract, device, CROPS, operators=held, run_count=1)

    assert (layers[1].nodes, layers[1].operator) == (("a", "b"), "Gemm")


@pytest.mark.parametrize("said", ["", "[]", '{"Layers": ['], ids=["nothing", "a list", "cut off"])
@pytest.mark.usefixtures("double")
def test_profile_plan_says_that_layers_cannot_be_read(
    said: str, device: HostDevice, contract: PlanContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadedPlan, "layer_information", lambda _: said)

    with pytest.raises(BackendError, match="what TensorRT says of its layers cannot be read"):
        profile_plan(contract, device, CROPS, operators={}, run_count=1)


def test_profile_plan_captures_no_graph_and_frees_everything(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract
) -> None:
    profile_plan(contract, device, CROPS, operators={}, run_count=2)
    gc.collect()

    assert device.created["graph"] == 0
    assert device.things_alive() == {}
    assert double.objects_alive() == {}
    assert not device.is_closed
    assert double.executions == 5  # three warm up


def test_profile_plan_frees_everything_when_a_run_fails(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract
) -> None:
    profile_plan(contract, device, CROPS, operators={}, run_count=1)
    last_run = max(i for i, call in enumerate(double.calls) if "execute_async_v3" in call)
    double.reset_calls(fail_at=last_run)

    with pytest.raises(BackendError, match="TensorRT cannot run the plan: "):
        profile_plan(contract, device, CROPS, operators={}, run_count=1)
    gc.collect()

    assert device.things_alive() == {}
    assert double.objects_alive() == {}


def test_profile_plan_says_that_layers_cannot_be_told(
    double: TensorrtDouble, device: HostDevice, contract: PlanContract
) -> None:
    profile_plan(contract, device, CROPS, operators={}, run_count=1)
    asked = double.calls.index("ICudaEngine.create_engine_inspector")
    double.reset_calls(fail_at=asked)

    with pytest.raises(
        BackendError, match=r"TensorRT cannot tell its layers: .*the double was told"
    ):
        profile_plan(contract, device, CROPS, operators={}, run_count=1)


@pytest.mark.usefixtures("double")
def test_profile_plan_says_that_no_layer_was_reported(
    device: HostDevice, contract: PlanContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.doubles.tensorrt.running.IExecutionContext._tell_profiler", lambda _: None
    )

    with pytest.raises(
        BackendError, match=r"reports no layers of `tiny\.plan`; run `facealign build"
    ):
        profile_plan(contract, device, CROPS, operators={}, run_count=1)


@pytest.mark.usefixtures("double")
def test_profile_plan_refuses_a_plan_that_breaks_its_contract(
    device: HostDevice, contract: PlanContract
) -> None:
    with pytest.raises(GraphContractError, match="for batches 1 to 8"):
        profile_plan(replace(contract, max_batch=8), device, CROPS, operators={})


@pytest.mark.parametrize(
    ("name", "metadata", "nodes"),
    [
        pytest.param("conv_1", "", ("conv_1",), id="one"),
        pytest.param("conv_1 + relu.2", "", ("conv_1", "relu.2"), id="fused"),
        pytest.param("conv_1 || conv_3", "", ("conv_1", "conv_3"), id="side by side"),
        pytest.param("PWN(PWN(relu_1), relu.2)", "", ("relu_1", "relu.2"), id="pointwise"),
        pytest.param("{ForeignNode[conv_1...relu.2]}", "", ("conv_1", "relu.2"), id="foreign"),
        pytest.param("Reformatting CopyNode for Input Tensor 0 to conv_1", "", (), id="copy"),
        pytest.param("__myl_Fc_1", "", (), id="unknown"),
        pytest.param(
            "__myl_Fc_1",
            "[ONNX Layer: conv_1]\x1e[ONNX Layer: relu.2]\x1e[ONNX Layer: conv_1]",
            ("conv_1", "relu.2"),
            id="metadata",
        ),
        pytest.param(
            "__myl_Fc_1",
            "[ONNX Layer: conv_1 | Local Function: PatchCrop]\x1f[ONNX Layer: relu.2 | a (b)]",
            ("conv_1", "relu.2"),
            id="in functions",
        ),
    ],
)
def test_nodes_of_layer_reads_names_as_tensorrt_joins_them(
    name: str, metadata: str, nodes: tuple[str, ...]
) -> None:
    assert nodes_of_layer(name, metadata, KNOWN) == nodes


def test_operators_of_graph_are_named_as_the_parser_of_tensorrt_names_nodes() -> None:
    text = """
    <ir_version: 9, opset_import: ["" : 19, "ours" : 1]>
    agraph (float[B, 4] x) => (float[B, 4] y) { [relu_2] a = Relu(x)  y = ours.Twice(a) }
    <opset_import: ["" : 19], domain: "ours"> Twice (a) => (b) { b = Add(a, a) }"""

    found = operators_of_graph(onnx.parser.parse_model(text).SerializeToString())

    assert found == {"relu_2": "Relu", "node_of_y": "Twice", "node_of_b": "Add"}


def test_operators_of_graph_refuses_what_is_cut_off(tiny_graph: bytes) -> None:
    with pytest.raises(IntegrityError, match="the graph is cut off; copy the bundle again"):
        operators_of_graph(tiny_graph[:-9])


@pytest.mark.usefixtures("double")
def test_a_closed_plan_tells_no_layers(device: HostDevice, contract: PlanContract) -> None:
    plan = load_plan(contract, device)
    plan.close()

    with pytest.raises(UsageError, match="the plan is closed; load it again"):
        plan.layer_information()


def _plan(contract: PlanContract, version: str, *, verbosity: str = "NONE") -> bytes:
    made = plan_from_bytes(contract.data, version="10.3")
    shapes = {"image": [[batch, SIZE_PX, SIZE_PX, 3] for batch in (1, 1, MAX_BATCH)]}
    options = {"profiling_verbosity": verbosity}
    return bytes_from_plan(Plan(version, made.graph, [shapes], options))
