from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.precision.assignment import GridSampleTypes, PrecisionRules
from facealign.export.passes.precision.half_precision_pass import HalfPrecisionPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ROUNDING = 1e-3  # max measured 2.3e-4 of a crop: 4 crops, ONNX Runtime 1.31 on CPU


def values(model: ir.Model) -> dict[str, ir.Value]:
    return {str(value.name): value for node in model.graph for value in node.outputs}


def casts(model: ir.Model) -> dict[str, ir.DataType | None]:
    nodes = [node for node in model.graph if node.op_type == "Cast"]
    return {str(node.outputs[0].name): node.outputs[0].dtype for node in nodes}


def test_half_precision_casts_where_precision_changes_and_nowhere_else(network: ir.Model) -> None:
    result = HalfPrecisionPass()(network)

    assert result.modified
    assert casts(result.model) == {
        "float_image": ir.DataType.FLOAT,
        "unit.fp16": ir.DataType.FLOAT16,
        "first_flat.fp32": ir.DataType.FLOAT,
        "relative.fp16": ir.DataType.FLOAT16,
        "normed.fp32": ir.DataType.FLOAT,
    }


def test_half_precision_types_initializers(network: ir.Model) -> None:
    model = HalfPrecisionPass()(network).model

    types = {name: value.dtype for name, value in model.graph.initializers.items()}
    assert types["w.fp16"] == types["encoder.fp16"] == ir.DataType.FLOAT16
    assert types["head"] == types["last"] == types["mean"] == ir.DataType.FLOAT
    assert {"w", "encoder"}.isdisjoint(types)


def test_half_precision_stores_a_constant_twice_if_both_need_it(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8] x) => (float[B, 8] y) <float[8, 8] w, float[8] shared>
        {
          a = MatMul(x, w)
          b = Add(a, shared)
          c = MatMul(b, w)
          y = Add(c, shared)
        }
        """
    )

    typed = HalfPrecisionPass()(model).model

    assert set(typed.graph.initializers) == {"w", "w.fp16", "shared", "shared.fp16"}


def test_half_precision_keeps_numbers(
    network: ir.Model, run: Run, crops: NDArray[np.uint8]
) -> None:
    before = run(network, {"image": crops})["landmarks"]

    after = run(HalfPrecisionPass()(network).model, {"image": crops})["landmarks"]

    assert after.dtype == np.float32
    assert 0 < np.abs(after - before).max() <= ROUNDING


def test_half_precision_runs_twice_without_change(network: ir.Model) -> None:
    once = HalfPrecisionPass()(network).model

    assert not HalfPrecisionPass()(once).modified


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (float[B, 8] x) => (float[B, 2] y) <float[8, 2] w> { y = MatMul(x, w) }",
            id="all-of-it-is-head",
        ),
        pytest.param("g (int64[2] x) => (int64[2] y) { y = Add(x, x) }", id="whole-numbers"),
    ],
)
def test_half_precision_leaves_alone(filled: Parse, text: str) -> None:
    model = filled(text)
    before = ir.to_proto(model).SerializeToString(deterministic=True)

    result = HalfPrecisionPass()(model)

    assert not result.modified
    assert ir.to_proto(result.model).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("grid_sample", "map_type", "grid_type"),
    [
        pytest.param("mixed", ir.DataType.FLOAT16, ir.DataType.FLOAT, id="mixed"),
        pytest.param("fp32", ir.DataType.FLOAT, ir.DataType.FLOAT, id="fp32"),
        pytest.param("fp16", ir.DataType.FLOAT16, ir.DataType.FLOAT16, id="fp16"),
    ],
)
def test_half_precision_gives_grid_sample_its_types(
    network: ir.Model,
    grid_sample: GridSampleTypes,
    map_type: ir.DataType,
    grid_type: ir.DataType,
) -> None:
    model = HalfPrecisionPass(PrecisionRules(grid_sample=grid_sample))(network).model

    sampling = [node for node in model.graph if node.op_type == "GridSample"]
    types = {tuple(value.dtype for value in node.inputs if value) for node in sampling}
    assert types == {(map_type, grid_type)}


def test_half_precision_leaves_scales_of_resize_alone(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 2, 4, 4] x) => (float[B, 2, 8, 8] y)
        <float[2, 2, 3, 3] w, float[4] scales = {1, 1, 2, 2}>
        {
          a = Conv<pads = [1, 1, 1, 1]>(x, w)
          b = Resize<mode = "nearest">(a, , scales)
          y = Conv<pads = [1, 1, 1, 1]>(b, w)
        }
        """
    )

    typed = HalfPrecisionPass()(model).model

    assert values(typed)["b"].dtype == ir.DataType.FLOAT16
    assert typed.graph.initializers["scales"].dtype == ir.DataType.FLOAT


def test_half_precision_keeps_layer_normalization_one_node(filled: Parse) -> None:
    model = filled(
        """
        g (float[B, 8] x) => (float[B, 2] y)
        <float[8, 8] w, float[8] scale, float[8] bias, float[8, 2] head>
        {
          a = MatMul(x, w)
          b = LayerNormalization(a, scale, bias)
          y = MatMul(b, head)
        }
        """
    )

    typed = HalfPrecisionPass()(model).model

    assert [node.op_type for node in typed.graph] == [
        "Cast",
        "MatMul",
        "LayerNormalization",
        "Cast",
        "MatMul",
    ]
    assert values(typed)["b"].dtype == ir.DataType.FLOAT16
