"""A graph as bytes, its facts and its probes, on a graph of three nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError, InputError
from facealign.export.graph import (
    bytes_from_graph,
    drop_unused_initializers,
    expose_values,
    finish_graph,
    graph_facts,
    graph_from_bytes,
    node_counts,
    node_label,
    parameter_count,
    read_graph,
)

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

TEXT = """
g (float[batch, 4] image) => (float[batch, 2, 2] landmarks)
<float[4] bias = {1, 2, 3, 4}, int64[3] shape = {-1, 2, 2}>
{
  early = Relu(image)
  late = Add(early, bias)
  landmarks = Reshape(late, shape)
}
"""
METADATA = {"facealign_version": "1.2.3", "family": "slpt", "scheme": "wflw98"}


@pytest.fixture
def model(model_from_text: Parse) -> ir.Model:
    return model_from_text(TEXT)


def output_names(model: ir.Model) -> list[str | None]:
    return [value.name for value in model.graph.outputs]


def test_bytes_from_graph_are_the_same_every_time(model_from_text: Parse) -> None:
    assert bytes_from_graph(model_from_text(TEXT)) == bytes_from_graph(model_from_text(TEXT))


def test_graph_from_bytes_reads_back(model: ir.Model) -> None:
    data = bytes_from_graph(model)

    assert bytes_from_graph(graph_from_bytes(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not a graph", id="text"),
        pytest.param(b"\x08\xff", id="truncated"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x08\x09", id="version-alone"),
    ],
)
def test_graph_from_bytes_refuses_what_is_no_graph(data: bytes) -> None:
    with pytest.raises(GraphContractError, match="not an ONNX model"):
        graph_from_bytes(data)


def test_expose_values_adds_inner_values(model: ir.Model) -> None:
    exposed = graph_from_bytes(expose_values(bytes_from_graph(model), ["early", "late"]))

    assert output_names(exposed) == ["landmarks", "early", "late"]


def test_expose_values_gives_what_they_hold(
    model: ir.Model, run: Run, rng: np.random.Generator
) -> None:
    image = rng.normal(size=(3, 4)).astype(np.float32)
    exposed = graph_from_bytes(expose_values(bytes_from_graph(model), ["early"]))

    early = run(exposed, {"image": image})["early"]

    np.testing.assert_array_equal(early, image.clip(min=0))


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["landmarks"], id="output-already"),
        pytest.param(["missing"], id="not-in-the-graph"),
        pytest.param([], id="none"),
    ],
)
def test_expose_values_leaves_out(model: ir.Model, names: list[str]) -> None:
    exposed = graph_from_bytes(expose_values(bytes_from_graph(model), names))

    assert output_names(exposed) == ["landmarks"]


def test_drop_unused_initializers_keeps_what_is_read_or_given(model_from_text: Parse) -> None:
    model = model_from_text(
        "g (float[2] x) => (float[2] y, float[2] out) "
        "<float[2] used = {1, 2}, float[2] spare = {3, 4}, float[2] out = {5, 6}> "
        "{ y = Add(x, used) }"
    )

    drop_unused_initializers(model.graph)

    assert list(model.graph.initializers) == ["used", "out"]


def test_node_counts_has_the_most_frequent_first(model_from_text: Parse) -> None:
    model = model_from_text(
        "g (float[2] x) => (float[2] y) { a = Neg(x) b = Relu(a) c = Relu(b) y = Relu(c) }"
    )

    assert list(node_counts(model).items()) == [("Relu", 3), ("Neg", 1)]


def test_parameter_count_is_that_of_all_initializers(model: ir.Model) -> None:
    assert parameter_count(model) == 4 + 3


def test_graph_facts_say_what_a_graph_is(model: ir.Model) -> None:
    facts = graph_facts(finish_graph(model, metadata=METADATA))

    assert facts == {
        "opset": 19,
        "nodes": 3,
        "parameters": 7,
        "operators": {"Relu": 1, "Add": 1, "Reshape": 1},
        "inputs": {"image": "FLOAT [B,4]"},
        "outputs": {"landmarks": "FLOAT [B,2,2]"},
        "metadata": {
            "facealign.facealign_version": "1.2.3",
            "facealign.family": "slpt",
            "facealign.scheme": "wflw98",
        },
    }


def test_finish_graph_infers_every_shape(model_from_text: Parse) -> None:
    model = model_from_text(TEXT)
    model.graph[0].outputs[0].shape = None

    finished = finish_graph(model, metadata=METADATA)

    shapes = {value.name: str(value.shape) for node in finished.graph for value in node.outputs}
    assert shapes == {"early": "[B,4]", "late": "[B,4]", "landmarks": "[B,2,2]"}


def test_finish_graph_leaves_fixed_batch_for_the_lint_to_find(model_from_text: Parse) -> None:
    model = model_from_text(TEXT.replace("float[batch, ", "float[2, "))

    finished = finish_graph(model, metadata=METADATA)

    assert str(finished.graph.inputs[0].shape) == "[2,4]"


def test_finish_graph_replaces_metadata(model: ir.Model) -> None:
    model.metadata_props["left.by"] = "a pass"

    finished = finish_graph(model, metadata=METADATA)

    assert "left.by" not in finished.metadata_props


def test_finish_graph_signs_the_graph(model: ir.Model) -> None:
    finished = finish_graph(model, metadata=METADATA)

    assert (finished.producer_name, finished.producer_version) == ("facealign", "1.2.3")
    assert (finished.graph.name, finished.ir_version) == ("slpt", 9)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (float[B, 4] image) => (float[B, 4] y) { y = Missing(image) }", id="no-such-operator"
        ),
        pytest.param(
            "g (float[2, 4] image, float[3, 5] other) => (float[2, 4] y) { y = Add(image, other) }",
            id="shapes-that-do-not-fit",
        ),
    ],
)
def test_finish_graph_refuses_what_the_onnx_checker_refuses(
    model_from_text: Parse, text: str
) -> None:
    model = model_from_text(text)

    with pytest.raises(GraphContractError, match=r"^the ONNX checker refuses the graph: [^\n]+\Z"):
        finish_graph(model, metadata=METADATA)


def test_read_graph_reads_a_file(tmp_path: Path, model: ir.Model) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes_from_graph(model))

    assert output_names(read_graph(path)) == ["landmarks"]


def test_read_graph_refuses_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read graph `.*gone\.onnx`: No such file"):
        read_graph(tmp_path / "gone.onnx")


def test_read_graph_refuses_other_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("not a graph")

    with pytest.raises(InputError, match=r"`.*model\.onnx` is no ONNX model; check the file"):
        read_graph(path)


@pytest.mark.parametrize(
    ("node", "label"),
    [
        pytest.param(ir.node("Sink", [ir.val("x")], name="n"), "Sink `n`", id="its-name"),
        pytest.param(
            ir.node("Relu", [ir.val("x")], outputs=[ir.val("y")]), "Relu `y`", id="output"
        ),
        pytest.param(
            ir.node("TopK", [ir.val("x")], outputs=[ir.val(""), ir.val("i")]),
            "TopK `i`",
            id="first-named-output",
        ),
        pytest.param(ir.node("Sink", [None, ir.val("x")], num_outputs=0), "Sink `x`", id="input"),
    ],
)
def test_node_label_finds_a_name_for_every_node(node: ir.Node, label: str) -> None:
    assert node_label(node) == label
