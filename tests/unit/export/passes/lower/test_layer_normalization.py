from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.graph import bytes_from_graph, check_onnx, node_counts
from facealign.export.passes.lower.layer_normalization import DecomposeLayerNormalizationPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

SAME = 1e-5  # max measured 1.4e-6: values up to 60, ONNX Runtime 1.31 on CPU
SEEN = 1e-2
NORMED = """
g (float[B, 3, 8] x) => (float[B, 3, 8] y)
<float[8] scale = {1, 2, 3, 4, 0.5, -1, 1, 1}, float[8] bias = {0, 1, 0, -1, 0, 0, 2, 0}>
{ y = LayerNormalization<axis = -1, epsilon = 1e-3>(x, scale, bias) }
"""
NO_BIAS = """
g (float[B, 3, 8] x) => (float[B, 3, 8] y)
<float[8] scale = {1, 2, 3, 4, 0.5, -1, 1, 1}>
{ y = LayerNormalization(x, scale) }
"""
TWO_AXES = """
g (float[B, 3, 2] x) => (float[B, 3, 2] y)
<float[3, 2] scale = {1, 2, 3, 4, 5, 6}>
{ y = LayerNormalization<axis = 1>(x, scale) }
"""
FOUR_AXES = """
g (float[B, 3, 2, 2] x) => (float[B, 3, 2, 2] y)
<float[3, 2, 2] scale = {1, 2, 3, 4, 5, 6, 1, 1, 1, 1, 1, 1}>
{ y = LayerNormalization<axis = 1>(x, scale) }
"""
# FP16 constants are given by their bits: 1 is 15360, 2 is 16384.
HALF = """
g (float16[B, 3, 8] x) => (float16[B, 3, 8] y)
<float16[8] scale = {15360, 15360, 15360, 15360, 15360, 15360, 15360, 16384}>
{ y = LayerNormalization(x, scale) }
"""
every_form = pytest.mark.parametrize(
    ("text", "sizes"),
    [
        pytest.param(NORMED, (3, 8), id="scale-and-bias"),
        pytest.param(NO_BIAS, (3, 8), id="no-bias"),
        pytest.param(TWO_AXES, (3, 2), id="two-axes"),
        pytest.param(FOUR_AXES, (3, 2, 2), id="three-axes-of-four"),
        pytest.param(FOUR_AXES.replace("axis = 1", "axis = -3"), (3, 2, 2), id="from-the-end"),
    ],
)


def decomposed(parse: Parse, text: str) -> ir.Model:
    return DecomposeLayerNormalizationPass()(parse(text)).model


def test_decompose_leaves_no_layer_normalization(model_from_text: Parse) -> None:
    result = DecomposeLayerNormalizationPass()(model_from_text(NORMED))

    assert result.modified
    assert node_counts(result.model) == {
        "ReduceMean": 2,
        "Mul": 2,
        "Add": 2,
        "Sub": 1,
        "Sqrt": 1,
        "Div": 1,
    }


@every_form
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_decompose_keeps_numbers(
    model_from_text: Parse,
    run: Run,
    rng: np.random.Generator,
    text: str,
    sizes: tuple[int, ...],
    offset: float,
) -> None:
    x = (offset + 10 * rng.normal(size=(2, *sizes))).astype(np.float32)
    before = run(model_from_text(text), {"x": x})["y"]

    after = run(decomposed(model_from_text, text), {"x": x})["y"]

    assert np.abs(after - before).max() <= SAME


def test_decompose_writes_axes_as_the_opset_has_them(model_from_text: Parse, run: Run) -> None:
    model = model_from_text(NORMED)
    model.graph.opset_imports[""] = 17
    x = np.arange(24, dtype=np.float32).reshape(1, 3, 8)

    after = DecomposeLayerNormalizationPass()(model).model

    check_onnx(after)
    expected = run(model_from_text(NORMED), {"x": x})["y"]
    assert np.abs(run(after, {"x": x})["y"] - expected).max() <= SAME


def test_decompose_does_not_overflow_in_fp16(
    model_from_text: Parse, run: Run, rng: np.random.Generator
) -> None:
    x = (1000 * rng.normal(size=(2, 3, 8))).astype(np.float16)  # their squares reach 1e6

    model = decomposed(model_from_text, HALF)

    wide = x.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / wide.std(-1, keepdims=True)
    expected[..., -1] *= 2
    check_onnx(model)
    assert np.abs(run(model, {"x": x})["y"] - expected).max() <= 4 * np.finfo(np.float16).eps


def test_decompose_runs_twice_without_change(model_from_text: Parse) -> None:
    once = decomposed(model_from_text, NORMED)
    data = bytes_from_graph(once)

    twice = DecomposeLayerNormalizationPass()(once)

    assert not twice.modified
    assert bytes_from_graph(twice.model) == data


def test_decompose_leaves_other_norms_alone(model_from_text: Parse) -> None:
    model = model_from_text(
        """
        g (float[B, 2, 4] x) => (float[B, 2, 4] y)
        <float[2] scale = {1, 2}, float[2] bias = {0, 1}>
        { y = InstanceNormalization(x, scale, bias) }
        """
    )
    before = bytes_from_graph(model)

    result = DecomposeLayerNormalizationPass()(model)

    assert not result.modified
    assert bytes_from_graph(result.model) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            """
            g (float[B, 3, 2] x) => (float[B, 3, 2] y, float[B, 3, 1] mean)
            <float[2] scale = {1, 2}>
            { y, mean = LayerNormalization(x, scale) }
            """,
            "LayerNormalization `y` cannot be decomposed, as its mean or deviation is used",
            id="mean-is-used",
        ),
        pytest.param(
            """
            g (float[B, 3, 2] x, int64[K] sizes) => (float[B, 3, 2] y)
            <float[2] scale = {1, 2}>
            { reshaped = Reshape(x, sizes) y = LayerNormalization(reshaped, scale) }
            """,
            "LayerNormalization `y` cannot be decomposed, as the shape of its input is not known",
            id="rank-is-not-known",
        ),
    ],
)
def test_decompose_refuses(model_from_text: Parse, text: str, message: str) -> None:
    with pytest.raises(GraphContractError, match=message):
        DecomposeLayerNormalizationPass().call(model_from_text(text))


@pytest.mark.parametrize(
    ("name", "op_type"), [("y.raised", "Sub"), ("y.centred", "Add"), ("y.add", "Sub")]
)
def test_a_fault_in_the_decomposition_is_seen(
    model_from_text: Parse, run: Run, rng: np.random.Generator, name: str, op_type: str
) -> None:
    x = rng.normal(size=(2, 3, 8)).astype(np.float32) / 4
    model = decomposed(model_from_text, NORMED)
    node = next(node for node in model.graph if node.name == name)

    node.op_type = op_type

    difference = run(model, {"x": x})["y"] - run(model_from_text(NORMED), {"x": x})["y"]
    assert np.abs(difference).max() > SEEN
