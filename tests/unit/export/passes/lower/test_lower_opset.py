from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.graph import bytes_from_graph, check_onnx
from facealign.export.passes.lower.lower_opset import LowerOpsetPass
from facealign.export.passes.lower.opset_17 import CONVERTERS, WIDENED
from facealign.export.passes.lower.sparse_graph_conv import SparseGraphConvPass
from tests.unit.export.passes.lower.graph_convolutions import (
    COUNT,
    constant_model,
    mixing_of,
    random_adjacency,
)

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SAME = 1e-6  # max measured 3e-8: ONNX Runtime 1.31

MAP = "g (float[B, 2, 4, 6] x) => (float[B, %s] y)"


def a_map(out: str, body: str, constants: str = "") -> str:
    return f"{MAP % out} {constants} {{ {body} }}"


CHANGED = [
    pytest.param(
        a_map("2, 4, 1", "y = ReduceMean<keepdims = 1>(x, axes)", "<int64[1] axes = {-1}>"),
        id="ReduceMean",
    ),
    pytest.param(
        a_map("2, 6", "y = ReduceMax<keepdims = 0>(x, axes)", "<int64[1] axes = {2}>"),
        id="ReduceMax",
    ),
    pytest.param("g (float[B, 2] x) => (float[1, 1] y) { y = ReduceMin(x) }", id="every-axis"),
    pytest.param(
        a_map("2, 4, 3", "y, rest = Split<axis = 3, num_outputs = 2>(x)"), id="Split-in-equal-parts"
    ),
    pytest.param(
        a_map(
            "2, 4, 1",
            "five = Slice(x, from, to, axis) a, b, y = Split<axis = 3, num_outputs = 3>(five)",
            "<int64[1] from = {0}, int64[1] to = {5}, int64[1] axis = {3}>",
        ),
        id="Split-in-unequal-parts",
    ),
    pytest.param(
        a_map("2, 4, 3", "y, rest = Split<axis = 3>(x, parts)", "<int64[2] parts = {3, 3}>"),
        id="Split-by-sizes",
    ),
    pytest.param(
        a_map(
            "2, 6, 9",
            'y = Pad<mode = "reflect">(x, pads, , axes)',
            "<int64[4] pads = {1, 1, 1, 2}, int64[2] axes = {2, -1}>",
        ),
        id="Pad-some-axes",
    ),
    pytest.param(
        a_map("2, 6, 6", "y = Pad(x, pads)", "<int64[8] pads = {0, 0, 1, 0, 0, 0, 1, 0}>"),
        id="Pad-every-axis",
    ),
    pytest.param(
        a_map(
            "2, 8, 12",
            'y = Resize<mode = "linear", antialias = 0, keep_aspect_ratio_policy = "stretch">'
            "(x, , scales)",
            "<float[4] scales = {1, 1, 2, 2}>",
        ),
        id="Resize",
    ),
    pytest.param(
        a_map("2, 2, 3", "y = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(x)"),
        id="AveragePool",
    ),
    pytest.param(
        a_map(
            "2, 2, 3",
            "y = AveragePool<kernel_shape = [2, 2], strides = [2, 2], dilations = [1, 1]>(x)",
        ),
        id="AveragePool-not-dilated",
    ),
    pytest.param(
        a_map("2, 4, 6", "i = Cast<to = 7, saturate = 1>(x) y = Cast<to = 1>(i)"), id="Cast"
    ),
    pytest.param(a_map("2, 4, 6", "e = Equal(x, x) y = Cast<to = 1>(e)"), id="Equal"),
    pytest.param(
        a_map("2, 24", "y = Reshape(x, shape)", "<int64[3] shape = {0, 0, -1}>"), id="Reshape"
    ),
    pytest.param(
        a_map(
            "2, 4, 6",
            "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
            "<float s = {0.02}, int8 z = {0}>",
        ),
        id="Q-DQ",
    ),
    pytest.param(
        a_map(
            "2, 4, 6",
            "h = Cast<to = 10>(x) q = QuantizeLinear<saturate = 1>(h, s, z) "
            "d = DequantizeLinear(q, s, z) y = Cast<to = 1>(d)",
            "<float16 s = {9216}, int8 z = {0}>",  # the bits of 2 ** -6
        ),
        id="Q-DQ-in-fp16",
    ),
]


@pytest.mark.parametrize("text", CHANGED)
@pytest.mark.parametrize("batch", [1, 2])
def test_lower_opset_keeps_numbers(
    model_from_text: Parse, run: Run, rng: np.random.Generator, text: str, batch: int
) -> None:
    sizes = (batch, 2, 4, 6)[: 2 if "[B, 2] x" in text else 4]
    x = rng.uniform(-1, 1, size=sizes).astype(np.float32)
    before = run(model_from_text(text), {"x": x})["y"]

    result = LowerOpsetPass()(model_from_text(text))

    after = run(result.model, {"x": x})["y"]
    assert result.modified
    assert after.shape == before.shape
    assert np.abs(after - before).max() <= SAME


@pytest.mark.parametrize("text", CHANGED)
def test_lower_opset_holds_opset_17(model_from_text: Parse, text: str) -> None:
    model = LowerOpsetPass()(model_from_text(text)).model

    assert dict(model.opset_imports) == {"": 17}
    assert model.ir_version == 8
    check_onnx(model)


@pytest.mark.parametrize("text", CHANGED)
def test_lower_opset_runs_twice_without_change(model_from_text: Parse, text: str) -> None:
    once = LowerOpsetPass()(model_from_text(text)).model
    data = bytes_from_graph(once)

    twice = LowerOpsetPass()(once)

    assert not twice.modified
    assert bytes_from_graph(twice.model) == data


def test_lower_opset_leaves_unchanged_operators_alone(model_from_text: Parse) -> None:
    model = model_from_text(
        """
        g (float[B, 2, 4, 6] x, float[B, 3, 5, 2] grid) => (float[B, 2, 3, 5] y)
        <int64[1] axis = {1}>
        {
          n = Neg(x)
          samples = GridSample<align_corners = 0>(n, grid)
          sum = ReduceSum<keepdims = 1>(samples, axis)
          y = Sub(samples, sum)
        }
        """
    )
    before = [str(node) for node in model.graph]

    after = LowerOpsetPass()(model).model

    assert [str(node) for node in after.graph] == before


def test_lower_opset_keeps_name_of_a_quantised_output(model_from_text: Parse) -> None:
    text = """
    g (float16[B, 2] x) => (float16[B, 2] y) <float16 s = {14336}, int8 z = {0}>
    { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }
    """

    model = LowerOpsetPass()(model_from_text(text)).model

    check_onnx(model)
    assert [(value.name, value.dtype) for value in model.graph.outputs] == [
        ("y", ir.DataType.FLOAT16)
    ]


def test_lower_opset_lowers_function_bodies(run: Run, rng: np.random.Generator) -> None:
    model = SparseGraphConvPass("function")(constant_model(mixing_of(random_adjacency(rng)))).model
    nodes = rng.normal(size=(2, 3, COUNT)).astype(np.float32)
    before = run(model.clone(), {"nodes": nodes})["y"]

    after = LowerOpsetPass()(model).model

    function = next(iter(after.functions.values()))
    assert function.opset_imports[""] == 17
    np.testing.assert_array_equal(run(after, {"nodes": nodes})["y"], before)


def test_lower_opset_knows_every_operator_that_only_got_types() -> None:
    changed = {
        name: [set(onnx.defs.get_schema(name, opset).attributes) for opset in (17, 19)]
        for name in WIDENED
    }

    assert all(before == after for before, after in changed.values())


def test_lower_opset_converts_nothing_that_did_not_change() -> None:
    versions = {
        name: {onnx.defs.get_schema(name, opset).since_version for opset in (17, 19)}
        for name in CONVERTERS
    }

    assert [name for name, each in versions.items() if len(each) == 1] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "g (float[B, 2] x) => (float[B, 2] y) { y = Mish(x) }",
            "Mish `y` cannot be written in opset 17: no rule says how",
            id="came-later",
        ),
        pytest.param(
            a_map("2, 2, 3", "y = AveragePool<kernel_shape = [2, 2], dilations = [2, 2]>(x)"),
            r"AveragePool `y` .* it has `dilations`",
            id="dilated-pool",
        ),
        pytest.param(
            a_map("2, 2, 3", "y = AveragePool<kernel_shape = [2, 2], ceil_mode = 1>(x)"),
            "AveragePool `y` .* it rounds its size up",
            id="pool-rounds-up",
        ),
        pytest.param(
            a_map(
                "2, 2, 3",
                'y = Resize<mode = "linear", antialias = 1>(x, , scales)',
                "<float[4] scales = {1, 1, 0.5, 0.5}>",
            ),
            "Resize `y` .* it has `antialias` 1, and opset 17 can only mean 0",
            id="antialias",
        ),
        pytest.param(
            a_map(
                "2, 8, 12",
                'y = Resize<mode = "linear", axes = [2, 3]>(x, , scales)',
                "<float[2] scales = {2, 2}>",
            ),
            "Resize `y` .* it resizes some axes only",
            id="resize-some-axes",
        ),
        pytest.param(
            a_map(
                "2, 8, 12",
                'y = Resize<coordinate_transformation_mode = "half_pixel_symmetric">(x, , scales)',
                "<float[4] scales = {1, 1, 2, 2}>",
            ),
            "Resize `y` .* it has `half_pixel_symmetric`",
            id="half-pixel-symmetric",
        ),
        pytest.param(
            a_map(
                "2, 6, 6", 'y = Pad<mode = "wrap">(x, p)', "<int64[8] p = {0, 0, 1, 0, 0, 0, 1, 0}>"
            ),
            "Pad `y` .* it has mode `wrap`",
            id="wrap",
        ),
        pytest.param(
            """
            g (float[B, 2] x, int64[K] pads) => (float[B, M] y) <int64[1] axes = {1}>
            { y = Pad(x, pads, , axes) }
            """,
            "Pad `y` .* it computes its input 1, which must be constant",
            id="pads-are-computed",
        ),
        pytest.param(
            "g (float[B, 2] x, int64[K] axes) => (float[B, 1] y) { y = ReduceMean(x, axes) }",
            "ReduceMean `y` .* it computes its input 1",
            id="axes-are-computed",
        ),
        pytest.param(
            a_map("2, 4, 6", "y = ReduceMax<noop_with_empty_axes = 1>(x)"),
            "ReduceMax `y` .* it reduces no axis",
            id="reduces-no-axis",
        ),
        pytest.param(
            """
            g (float[B, K] x) => (float[B, M] y)
            { y, rest = Split<axis = 1, num_outputs = 2>(x) }
            """,
            "Split `y` .* it splits an axis of unknown size",
            id="split-of-unknown-size",
        ),
        pytest.param(
            """
            g (float16[B, 2] x, float16 s) => (float16[B, 2] y) <int8 z = {0}>
            { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }
            """,
            "QuantizeLinear `q` .* it computes its input 1",
            id="scale-is-computed",
        ),
        pytest.param(
            "g (float[B, 2] x) => (float[B, 2] y) { e = Cast<to = 17>(x) y = Cast<to = 1>(e) }",
            r"Cast `e` cannot be written in opset 17: its `output` is tensor\(float8e4m3fn\)",
            id="eight-bits",
        ),
    ],
)
def test_lower_opset_refuses(model_from_text: Parse, text: str, message: str) -> None:
    with pytest.raises(GraphContractError, match=message):
        LowerOpsetPass().call(model_from_text(text))


@pytest.mark.parametrize("opset", [16, 20])
def test_lower_opset_refuses_another_opset(model_from_text: Parse, opset: int) -> None:
    model = model_from_text("g (float[B, 2] x) => (float[B, 2] y) { y = Relu(x) }")
    model.graph.opset_imports[""] = opset

    with pytest.raises(GraphContractError, match=f"can be written as 17, got {opset}"):
        LowerOpsetPass().call(model)
