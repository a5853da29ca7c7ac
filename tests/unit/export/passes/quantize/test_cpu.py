from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import CalibrationError, GraphContractError
from facealign.export.graph import bytes_from_graph
from facealign.export.passes.quantize import for_cpu, quantize
from tests.unit.export.passes.quantize.reading import edges, quantized_sources, zero_points
from tests.unit.export.passes.quantize.test_tensorrt import MATRICES, RESIDUAL, SAMPLED

Parse = Callable[[str], ir.Model]
RangesFor = Callable[[ir.Model], dict[str, float]]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ONE_STEP = 0.05  # of the largest value; measured 0.028 (convolutions 0.020), with weights of 7 bits


def constant(model: ir.Model, name: str) -> NDArray[np.generic]:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.numpy()


def test_for_cpu_quantises_both_inputs_and_the_output_of_a_residual_add(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    quantized = for_cpu(model, ranges_for(model))

    assert edges(quantized, "sum") == ["q(c2)", "q(x)"]
    assert edges(quantized, "c2") == ["q(r1)", "dq(w2.axis0.quantized)"]
    assert quantized_sources(quantized) == ["c2", "r1", "x"]


def test_for_cpu_uses_every_unsigned_step_behind_relu(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    quantized = for_cpu(model, ranges_for(model))

    assert constant(quantized, "x.zero_point") == 0
    assert constant(quantized, "x.scale") == np.float32(4 / 255)
    assert constant(quantized, "c2.zero_point") == 128
    assert constant(quantized, "c2.scale") == np.float32(4 / 127)
    assert {constant(quantized, f"{n}.zero_point").dtype for n in ("x", "c2")} == {np.dtype("u1")}


@pytest.mark.parametrize(
    ("behind", "zero_point"),
    [
        pytest.param("MaxPool<kernel_shape = [2,2]>(r)", 0, id="pool-of-relu"),
        pytest.param("Add(r, r)", 0, id="sum-of-relus"),
        pytest.param("Add(r, x)", 128, id="sum-with-another"),
        pytest.param("Sigmoid(x)", 0, id="sigmoid"),
        pytest.param("Tanh(r)", 128, id="unknown-operator"),
    ],
)
def test_for_cpu_knows_what_cannot_be_negative(
    float_graph: Parse, ranges_for: RangesFor, behind: str, zero_point: int
) -> None:
    text = f"""
    g (float[B,3,8,8] image, float[16,3,3,3] w0, float[16,16,1,1] w1, float[4,16,1,1] w2)
      => (float[B,4,H,W] landmarks)
    {{ x = Conv<pads = [1,1,1,1]>(image, w0)
       r = Relu(x)
       y = {behind}
       c = Conv(y, w1)
       landmarks = Conv(c, w2) }}
    """
    model = float_graph(text)

    quantized = for_cpu(model, ranges_for(model))

    assert constant(quantized, "y.zero_point") == zero_point


@pytest.mark.parametrize(
    ("reduce_range", "largest"),
    [pytest.param(True, 63, id="7-bit"), pytest.param(False, 127, id="8")],
)
def test_for_cpu_stores_int8_weights_and_drops_the_float_ones(
    float_graph: Parse, ranges_for: RangesFor, reduce_range: bool, largest: int
) -> None:
    model = float_graph(RESIDUAL)

    quantized = for_cpu(model, ranges_for(model), reduce_range=reduce_range)

    integers = constant(quantized, "w1.axis0.quantized")
    assert integers.dtype == np.int8
    assert set(np.abs(integers.astype(int)).max(axis=(1, 2, 3)).tolist()) == {largest}
    assert "w1" not in quantized.graph.initializers


def test_for_cpu_leaves_a_constant_on_the_left_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    text = """
    g (float[B,16,16] image, float[16,20] w0, float[18,16] w1, float[20,2] w3)
      => (float[B,18,2] landmarks)
    { a = MatMul(image, w0)
      b = MatMul(w1, a)
      landmarks = MatMul(b, w3) }
    """
    model = float_graph(text)

    assert quantized_sources(for_cpu(model, ranges_for(model))) == []


def test_for_cpu_keeps_features_and_grid_of_grid_sample_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(SAMPLED)

    quantized = for_cpu(model, ranges_for(model))

    assert edges(quantized, "sample") == ["features", "grid"]
    assert edges(quantized, "landmarks") == ["guess", "delta"]


@pytest.mark.parametrize(
    ("text", "size"),
    [pytest.param(RESIDUAL, 8, id="convolutions"), pytest.param(MATRICES, 4, id="matrices")],
)
def test_for_cpu_is_near_the_float_graph(
    float_graph: Parse, run: Run, rng: np.random.Generator, text: str, size: int
) -> None:
    model = float_graph(text)
    image = rng.normal(size=(4, 3, size, size)).astype(np.float32)
    inner = [str(v.name) for n in model.graph for v in n.outputs if v.dtype == ir.DataType.FLOAT]
    exposed = model.clone()
    exposed.graph.outputs.extend(
        v for n in exposed.graph for v in n.outputs if v.name in inner and not v.is_graph_output()
    )
    values = run(exposed, {"image": image})
    ranges = {name: float(np.abs(value).max()) for name, value in values.items()}

    found = run(for_cpu(model, ranges), {"image": image})["landmarks"]

    expected = values["landmarks"]
    assert 0 < np.abs(found - expected).max() <= ONE_STEP * np.abs(expected).max()


def test_for_cpu_passes_the_full_checker_and_gives_the_same_bytes_twice(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    one, other = (for_cpu(model, ranges_for(model)) for _ in range(2))

    onnx.checker.check_model(ir.to_proto(one), full_check=True)
    assert bytes_from_graph(one) == bytes_from_graph(other)


def test_for_cpu_has_unsigned_activations_only(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(RESIDUAL)

    quantized = for_cpu(model, ranges_for(model))

    types = [value.dtype for value in zero_points(quantized)]
    assert types.count(ir.DataType.UINT8) == 6
    assert types.count(ir.DataType.INT8) == 2


def test_for_cpu_refuses_a_quantised_graph(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(RESIDUAL)
    quantized = quantize(model, ranges_for(model))

    with pytest.raises(GraphContractError, match="quantised already"):
        for_cpu(quantized, ranges_for(model))


def test_for_cpu_refuses_a_missing_range(float_graph: Parse) -> None:
    with pytest.raises(CalibrationError, match="there is no range for"):
        for_cpu(float_graph(RESIDUAL), {})
