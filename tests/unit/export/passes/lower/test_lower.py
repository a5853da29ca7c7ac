"""The passes together, and what they say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.graph import bytes_from_graph, node_counts
from facealign.export.passes.lower import Form, Opset, lower

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SAME = 1e-5  # max measured 1.9e-6, ONNX Runtime 1.31 on CPU
# Two crops of one map, a norm, a graph convolution along a ring of eight, and an opset-18 mean.
WHOLE = """
g (float[B, 3, 5, 5] features, float[B, 1, 8, 2] grid) => (float[B, 2, 8] y)
<int64[1] last = {-1}, int64[3] rows = {-1, 3, 8}, float[8] scale = {1, 2, 1, 1, 1, 1, 1, 1},
 float[2, 3, 1] w = {1, 2, 3, -1, 0, 1}, float half = {0.5},
 float[8, 8] ring = {1, 2, 0, 0, 0, 0, 0, 0,  0, 1, 2, 0, 0, 0, 0, 0,  0, 0, 1, 2, 0, 0, 0, 0,
                     0, 0, 0, 1, 2, 0, 0, 0,  0, 0, 0, 0, 1, 2, 0, 0,  0, 0, 0, 0, 0, 1, 2, 0,
                     0, 0, 0, 0, 0, 0, 1, 2,  2, 0, 0, 0, 0, 0, 0, 1}>
{
  first = GridSample(features, grid)
  nearer = Mul(grid, half)
  second = GridSample(features, nearer)
  both = Add(first, second)
  nodes = Reshape(both, rows)
  mean = ReduceMean(nodes, last)
  centred = Sub(nodes, mean)
  normed = LayerNormalization(centred, scale)
  mixed = MatMul(normed, ring)
  y = Conv<kernel_shape = [1]>(mixed, w)
}
"""
PLAIN = "g (float[B, 2] x) => (float[B, 2] y) { y = Relu(x) }"
FORMS = ("standard", "function", "gather")
every_choice = pytest.mark.parametrize(
    "choice",
    [
        pytest.param(
            {
                "patch_crop": crop,
                "graph_convolution": convolution,
                "layer_normalization": norm,
                "opset": opset,
            },
            id=f"{crop}-{convolution}-{norm}-{opset}",
        )
        for crop, convolution, norm, opset in product(
            FORMS, FORMS, ("standard", "decomposed"), (17, 19)
        )
    ],
)


@pytest.fixture
def feeds(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    return {
        "features": rng.uniform(-1, 1, size=(2, 3, 5, 5)).astype(np.float32),
        "grid": rng.uniform(-1.5, 1.5, size=(2, 1, 8, 2)).astype(np.float32),
    }


@every_choice
def test_lower_keeps_numbers(
    model_from_text: Parse,
    run: Run,
    feeds: dict[str, NDArray[np.float32]],
    choice: dict[str, Any],
) -> None:
    before = run(model_from_text(WHOLE), feeds)["y"]

    after = run(lower(model_from_text(WHOLE), **choice), feeds)["y"]

    assert np.abs(after - before).max() <= SAME


@every_choice
def test_lower_gives_every_value_a_type_and_a_shape(
    model_from_text: Parse, choice: dict[str, Any]
) -> None:
    lowered = lower(model_from_text(WHOLE), **choice)

    values = [value for node in lowered.graph for value in node.outputs]
    assert [value.name for value in values if value.dtype is None or value.shape is None] == []


@every_choice
def test_lower_keeps_interface(model_from_text: Parse, choice: dict[str, Any]) -> None:
    model = model_from_text(WHOLE)

    lowered = lower(model, **choice)

    before, after = (
        [(v.name, v.dtype, str(v.shape)) for v in (*each.graph.inputs, *each.graph.outputs)]
        for each in (model, lowered)
    )
    assert after == before


def test_lower_leaves_its_argument_alone(model_from_text: Parse) -> None:
    model = model_from_text(WHOLE)
    before = bytes_from_graph(model)

    lower(
        model,
        patch_crop="gather",
        graph_convolution="function",
        layer_normalization="decomposed",
        opset=17,
    )

    assert bytes_from_graph(model) == before


def test_lower_does_nothing_unless_asked(model_from_text: Parse) -> None:
    model = model_from_text(WHOLE)
    model.graph[0].outputs[0].shape = None  # inference would fill it

    assert bytes_from_graph(lower(model)) == bytes_from_graph(model)


def test_lower_reads_a_map_of_two_crops_once(model_from_text: Parse) -> None:
    lowered = lower(model_from_text(WHOLE), patch_crop="gather")

    readers = [
        node
        for node in lowered.graph
        if "features" in {value.name for value in node.inputs if value is not None}
    ]
    assert [node.op_type for node in readers] == ["Reshape"]


def test_lower_knows_shapes_of_what_has_no_body(model_from_text: Parse) -> None:
    lowered = lower(model_from_text(WHOLE), patch_crop="plugin", graph_convolution="plugin")

    values = {value.name: value for node in lowered.graph for value in node.outputs}
    sizes = [str(values[name].shape) for name in ("first", "mixed")]
    assert sizes == ["[B,3,1,8]", "[unk__0,3,8]"]
    assert len(lowered.functions) == 0


@pytest.mark.parametrize("opset", [17, 19])
def test_plugin_form_is_the_function_form_without_bodies(
    model_from_text: Parse, opset: Opset
) -> None:
    function = lower(
        model_from_text(WHOLE), patch_crop="function", graph_convolution="function", opset=opset
    )

    plugin = lower(
        model_from_text(WHOLE), patch_crop="plugin", graph_convolution="plugin", opset=opset
    )

    function.functions.clear()
    assert bytes_from_graph(plugin) == bytes_from_graph(function)


@pytest.mark.parametrize(
    ("patch_crop", "graph_convolution", "left"),
    [("plugin", "function", "SparseGraphConv"), ("function", "plugin", "PatchCrop")],
)
def test_plugin_form_of_one_operator_keeps_the_body_of_the_other(
    model_from_text: Parse, patch_crop: Form, graph_convolution: Form, left: str
) -> None:
    lowered = lower(
        model_from_text(WHOLE), patch_crop=patch_crop, graph_convolution=graph_convolution
    )

    assert [name for _, name, _ in lowered.functions] == [left]


def test_plugin_form_does_not_run_without_a_kernel(
    model_from_text: Parse, run: Run, feeds: dict[str, NDArray[np.float32]]
) -> None:
    lowered = lower(model_from_text(WHOLE), patch_crop="plugin")

    with pytest.raises(Exception, match="facealign:PatchCrop"):
        run(lowered, feeds)


def test_lower_twice_is_lower_once(model_from_text: Parse) -> None:
    once = lower(
        model_from_text(WHOLE),
        patch_crop="gather",
        graph_convolution="gather",
        layer_normalization="decomposed",
        opset=17,
    )

    twice = lower(
        once,
        patch_crop="gather",
        graph_convolution="gather",
        layer_normalization="decomposed",
        opset=17,
    )

    assert bytes_from_graph(twice) == bytes_from_graph(once)


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        ({"patch_crop": "function"}, "patch crop"),
        ({"patch_crop": "gather"}, "patch crop"),
        ({"graph_convolution": "plugin"}, "graph convolution"),
        ({"layer_normalization": "decomposed"}, "LayerNormalization"),
    ],
)
def test_lower_says_what_it_did_not_find(
    model_from_text: Parse, caplog: pytest.LogCaptureFixture, choice: dict[str, Any], what: str
) -> None:
    model = model_from_text(PLAIN)

    with caplog.at_level(logging.INFO, logger="facealign"):
        lowered = lower(model, **choice)

    assert caplog.messages == [f"no {what} in the graph; it stays as it is"]
    assert bytes_from_graph(lowered) == bytes_from_graph(model)


def test_lower_names_what_cannot_be_said(model_from_text: Parse) -> None:
    model = model_from_text(WHOLE.replace("GridSample(f", "GridSample<align_corners = 1>(f"))

    with pytest.raises(GraphContractError, match="GridSample `first` cannot be written without"):
        lower(model, patch_crop="gather")


@pytest.mark.parametrize(
    "choice",
    [{}, {"opset": 17}, {"patch_crop": "plugin"}, {"patch_crop": "gather"}],
    ids=["nothing", "opset-17", "plugin", "gather"],
)
def test_lower_refuses_an_opset_whose_grid_sample_is_another(
    model_from_text: Parse, choice: dict[str, Any]
) -> None:
    model = model_from_text(WHOLE)
    model.graph.opset_imports[""] = 20

    with pytest.raises(GraphContractError, match=r"only graphs of opset 17 to 19 .*, got 20"):
        lower(model, **choice)


def test_lower_refuses_a_graph_that_does_not_say_its_opset(model_from_text: Parse) -> None:
    model = model_from_text(WHOLE)
    model.graph.opset_imports["ai.onnx"] = model.graph.opset_imports.pop("")

    with pytest.raises(GraphContractError, match=r"only graphs of opset 17 to 19 .*, got 0"):
        lower(model, opset=17)


@pytest.mark.parametrize("form", ["plugin", "function", "gather"])
def test_lower_refuses_what_the_checker_refuses_in_one_line(
    model_from_text: Parse, form: Form
) -> None:
    model = model_from_text(WHOLE)
    model.graph.outputs[0].shape = ir.Shape([2, 2, 9])

    with pytest.raises(GraphContractError, match=r"^the ONNX checker refuses the graph: .*\)$"):
        lower(model, patch_crop=form)


@pytest.mark.parametrize(
    ("old", "new", "choice"),
    [
        ("nearer", "first.shifted", {"patch_crop": "gather"}),
        ("grid", "patch_crop.number", {"patch_crop": "gather"}),
        ("centred", "normed.mean", {"patch_crop": "plugin", "layer_normalization": "decomposed"}),
    ],
)
def test_lower_refuses_a_name_that_is_taken(
    model_from_text: Parse, old: str, new: str, choice: dict[str, Any]
) -> None:
    model = model_from_text(WHOLE)
    values = [*model.graph.inputs, *(node.outputs[0] for node in model.graph)]
    next(value for value in values if value.name == old).name = new

    with pytest.raises(GraphContractError, match=f"two values .* would be called `{new}`; rename"):
        lower(model, **choice)


def test_lower_for_tensorrt_before_8_5_uses_what_it_knows(model_from_text: Parse) -> None:
    lowered = lower(
        model_from_text(WHOLE),
        patch_crop="gather",
        graph_convolution="gather",
        layer_normalization="decomposed",
        opset=17,
    )

    counts = node_counts(lowered)
    assert not {"GridSample", "LayerNormalization", "MatMul"} & set(counts)
    assert {node.domain for node in lowered.graph} == {""}
    assert lowered.opset_imports[""] == 17
