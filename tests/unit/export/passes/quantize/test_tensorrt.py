from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import CalibrationError, GraphContractError, UsageError
from facealign.export.graph import bytes_from_graph
from facealign.export.passes.quantize import quantize
from tests.unit.export.passes.quantize.reading import edges, quantized_sources, zero_points

Parse = Callable[[str], ir.Model]
RangesFor = Callable[[ir.Model], dict[str, float]]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ROUNDING = 1e-5  # of the largest value; measured 1.6e-7: sums in another order

# `first` sees the image and `head` gives the output, so both stay float; between them is the case.
RESIDUAL = """
g (float[B,3,8,8] image, float[16,3,3,3] w0, float[16,16,3,3] w1, float[16,16,3,3] w2,
   float[4,16,1,1] w3) => (float[B,4,8,8] landmarks)
{
  first = Conv<pads = [1,1,1,1]>(image, w0)
  x = Relu(first)
  c1 = Conv<pads = [1,1,1,1]>(x, w1)
  r1 = Relu(c1)
  c2 = Conv<pads = [1,1,1,1]>(r1, w2)
  sum = Add(c2, x)
  y = Relu(sum)
  landmarks = Conv(y, w3)
}
"""
PROJECTED = RESIDUAL.replace(
    "sum = Add(c2, x)", "side = Conv(x, w4)\n  sum = Add(side, c2)"
).replace("float[4,16,1,1] w3", "float[4,16,1,1] w3, float[16,16,1,1] w4")
MATRICES = """
g (float[B,3,4,4] image, float[16,48] w0, float[24,16] w1, float[24,20] w2, float[9,20] w3,
   float[4,20] w4, float[24] wb) => (float[B,4] landmarks)
<int64[2] flat = {0, -1}>
{
  pixels = Reshape(image, flat)
  first = Gemm<transB = 1>(pixels, w0)
  a = Gemm<transB = 1>(first, w1, wb)
  b = MatMul(a, w2)
  landmarks = Gemm<transB = 1>(b, w4)
}
""".replace("float[9,20] w3,\n", "")
SAMPLED = """
g (float[B,3,8,8] image, float[16,3,3,3] w0, float[16,16,1,1] w1, float[16,2] w2,
   float[16,20] w3, float[20,2] w4) => (float[B,2] landmarks)
<int64[2] spatial = {2, 3}, int64[4] as_grid = {-1, 1, 1, 2}, int64[2] flat = {0, -1}>
{
  features = Conv<pads = [1,1,1,1]>(image, w0)
  c1 = Conv(features, w1)
  pooled = ReduceMean<keepdims = 0>(c1, spatial)
  guess = MatMul(pooled, w2)
  grid = Reshape(guess, as_grid)
  sample = GridSample<mode = "bilinear", align_corners = 0>(features, grid)
  row = Reshape(sample, flat)
  hidden = MatMul(row, w3)
  delta = MatMul(hidden, w4)
  landmarks = Add(guess, delta)
}
"""


def test_quantize_puts_a_residual_pair_on_the_skip_branch_only(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "sum") == ["c2", "q(x)"]
    assert edges(quantized, "c1") == ["q(x)", "q(w1)"]


def test_quantize_takes_the_later_of_two_convolutions_for_the_main_branch(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(
        PROJECTED.replace("side = Conv(x, w4)\n", "").replace(
            "c1 = Conv<", "side = Conv(x, w4)\n  c1 = Conv<"
        )
    )

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "sum") == ["q(side)", "c2"]


def test_quantize_leaves_a_sum_float_when_both_convolutions_are_read_elsewhere(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(
        RESIDUAL.replace("y = Relu(sum)", "again = Mul(c2, sum)\n  y = Relu(again)")
    )

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "sum") == ["c2", "x"]


def test_quantize_shares_one_pair_among_readers_of_a_tensor(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model))

    assert quantized_sources(quantized) == ["r1", "w1", "w2", "x"]


def test_quantize_leaves_first_convolution_and_coordinate_head_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "first") == ["image", "w0"]
    assert edges(quantized, "landmarks") == ["y", "w3"]


def test_quantize_has_no_pair_between_convolution_batch_normalization_and_relu(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    text = """
    g (float[B,3,8,8] image, float[16,3,3,3] w0, float[16,16,1,1] w1, float[16,16,1,1] w2,
       float[4,16,1,1] w3, float[16] ws, float[16] wb, float[16] wm) => (float[B,4,8,8] landmarks)
    <float[16] var = {1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1}>
    {
      x = Conv<pads = [1,1,1,1]>(image, w0)
      c = Conv(x, w1)
      n = BatchNormalization(c, ws, wb, wm, var)
      r = Relu(n)
      d = Conv(r, w2)
      landmarks = Conv(d, w3)
    }
    """
    model = float_graph(text)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "n")[0] == "c"
    assert edges(quantized, "r") == ["n"]
    assert quantized_sources(quantized) == ["r", "w1", "w2", "x"]


def test_quantize_leaves_bias_of_gemm_float(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(MATRICES)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "a") == ["q(first)", "q(w1)", "wb"]


@pytest.mark.parametrize(
    ("name", "axis", "count"),
    [
        pytest.param("w1.axis0", 0, 24, id="gemm-transposed"),
        pytest.param("w2.axis1", 1, 20, id="matmul"),
    ],
)
def test_quantize_scales_weights_along_output_channels(
    float_graph: Parse, ranges_for: RangesFor, name: str, axis: int, count: int
) -> None:
    model = float_graph(MATRICES)

    quantized = quantize(model, ranges_for(model))

    nodes = {node.name: node for node in quantized.graph}
    for kind in ("quantized", "dequantized"):
        assert nodes[f"{name}.{kind}"].attributes.get_int("axis") == axis
    scale = quantized.graph.initializers[f"{name}.scale"].const_value
    assert scale is not None
    assert scale.numpy().shape == (count,)


def test_quantize_scales_a_constant_on_the_left_along_its_rows(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    text = """
    g (float[B,3,16] image, float[16,20] w0, float[24,3] w1, float[18,24] w2, float[20,2] w3)
      => (float[B,18,2] landmarks)
    {
      a = MatMul(image, w0)
      b = MatMul(w1, a)
      c = MatMul(w2, b)
      landmarks = MatMul(c, w3)
    }
    """
    model = float_graph(text)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "b") == ["w1", "a"]  # three terms
    assert edges(quantized, "c") == ["q(w2)", "q(b)"]
    assert "w2.axis0.scale" in quantized.graph.initializers


def test_quantize_keeps_features_and_grid_of_grid_sample_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(SAMPLED)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "c1") == ["q(features)", "q(w1)"]
    assert edges(quantized, "sample") == ["features", "grid"]
    assert edges(quantized, "guess") == ["pooled", "w2"]
    assert edges(quantized, "hidden") == ["q(row)", "q(w3)"]
    assert edges(quantized, "landmarks") == ["guess", "delta"]


@pytest.mark.parametrize(
    "operator",
    [
        pytest.param("LayerNormalization<axis = -1>(x, ws, wb)", id="layer-normalization"),
        pytest.param("Softmax<axis = -1>(x)", id="softmax"),
        pytest.param("Tanh(x)", id="tanh"),
        pytest.param("Sigmoid(x)", id="sigmoid"),
        pytest.param("MatMul(x, t)", id="product-of-two-activations"),
    ],
)
def test_quantize_leaves_inputs_of_sensitive_operators_float(
    float_graph: Parse, ranges_for: RangesFor, operator: str
) -> None:
    text = f"""
    g (float[B,16,16] image, float[16,16] w0, float[16,16] w1, float[16,2] w2, float[16] ws,
       float[16] wb) => (float[B,16,2] landmarks)
    {{
      x = MatMul(image, w0)
      t = Transpose<perm = [0, 2, 1]>(x)
      y = {operator}
      c = MatMul(x, w1)
      d = Add(c, y)
      landmarks = MatMul(d, w2)
    }}
    """
    model = float_graph(text)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "y")[0] == "x"
    assert quantized_sources(quantized) == ["w1", "x"]


@pytest.mark.parametrize(
    ("operator", "weight"),
    [
        pytest.param("ConvTranspose(x, w1)", "float[16,16,2,2] w1", id="conv-transpose"),
        pytest.param("Conv<group = 2>(x, w1)", "float[32,8,3,3] w1", id="group-convolution"),
        pytest.param("Conv<group = 16>(x, w1)", "float[16,1,5,5] w1", id="depthwise-convolution"),
    ],
)
def test_quantize_leaves_other_convolutions_float(
    float_graph: Parse, ranges_for: RangesFor, operator: str, weight: str
) -> None:
    text = f"""
    g (float[B,3,8,8] image, float[16,3,3,3] w0, {weight}) => (float[B,C,H,W] landmarks)
    {{ x = Conv<pads = [1,1,1,1]>(image, w0)
       y = {operator}
       landmarks = Relu(y) }}
    """.replace("landmarks = Relu(y)", "z = Tanh(y)\n landmarks = Relu(z)")
    model = float_graph(text)

    assert quantized_sources(quantize(model, ranges_for(model))) == []


GROUPED = """
g (float[B,3,8,8] image, float[16,3,3,3] w0, float[32,8,3,3] w1, float[4,32,1,1] w2)
  => (float[B,4,6,6] landmarks)
{ x = Conv<pads = [1,1,1,1]>(image, w0)
  y = Conv<group = 2>(x, w1)
  landmarks = Conv(y, w2) }
"""


def test_quantize_takes_group_convolutions_when_asked(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(GROUPED)

    assert quantized_sources(quantize(model, ranges_for(model))) == []
    quantized = quantize(model, ranges_for(model), grouped=True)

    assert edges(quantized, "y") == ["q(x)", "q(w1)"]


def test_quantize_leaves_sums_written_as_products_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(MATRICES)
    ones = np.ones((24, 20), np.float32)
    model.graph.initializers["w2"].const_value = ir.tensor(ones, name="w2")

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "b") == ["a", "w2"]


def test_quantize_has_int8_zero_points_of_zero_only(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)

    values = zero_points(quantize(model, ranges_for(model)))

    assert len(values) == 8
    assert {value.dtype for value in values} == {ir.DataType.INT8}
    constants = [value.const_value.numpy() for value in values if value.const_value is not None]
    assert len(constants) == len(values)
    assert not any(constant.any() for constant in constants)


def test_quantize_gives_scales_above_zero_for_a_dead_channel_and_a_silent_tensor(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)
    constant = model.graph.initializers["w1"].const_value
    assert constant is not None
    dead = np.array(constant.numpy())
    dead[3] = 0
    model.graph.initializers["w1"].const_value = ir.tensor(dead, name="w1")

    quantized = quantize(model, ranges_for(model) | {"x": 0.0})

    scales = [v.const_value for n, v in quantized.graph.initializers.items() if "scale" in n]
    assert scales
    assert all((scale.numpy() > 0).all() for scale in scales if scale is not None)


def test_quantize_gives_scales_the_type_of_the_data(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    half = RESIDUAL.replace("float[16,16,3,3]", "float16[16,16,3,3]")
    half = half.replace("x = Relu(first)", "xf = Relu(first)\n  x = Cast<to = 10>(xf)")
    half = half.replace("Conv(y, w3)", "Conv(yf, w3)").replace(
        "y = Relu(sum)", "y = Relu(sum)\n  yf = Cast<to = 1>(y)"
    )
    model = float_graph(half)

    quantized = quantize(model, ranges_for(model))

    onnx.checker.check_model(ir.to_proto(quantized), full_check=True)
    assert quantized_sources(quantized) == ["r1", "w1", "w2", "x"]
    types = {v.dtype for n, v in quantized.graph.initializers.items() if n.endswith(".scale")}
    assert types == {ir.DataType.FLOAT16}


def constant(model: ir.Model, name: str) -> NDArray[np.float32]:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.numpy()


def fake_quantized(x: NDArray[np.float32], scale: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.clip(np.rint(x / scale), -128, 127) * scale).astype(np.float32)


def test_quantize_computes_what_plain_fake_quantisation_computes(
    float_graph: Parse, ranges_for: RangesFor, run: Run, rng: np.random.Generator
) -> None:
    model = float_graph(MATRICES)
    w = {name: constant(model, name) for name in ("w0", "w1", "w2", "w4", "wb")}
    image = rng.normal(size=(5, 3, 4, 4)).astype(np.float32)
    first = image.reshape(5, -1) @ w["w0"].T
    step = np.float64(np.float32(4 / 127))
    w1 = fake_quantized(w["w1"], np.abs(w["w1"]).max(axis=1, keepdims=True).astype(float) / 127)
    w2 = fake_quantized(w["w2"], np.abs(w["w2"]).max(axis=0, keepdims=True).astype(float) / 127)
    a = fake_quantized(first, step) @ w1.T + w["wb"]
    expected = fake_quantized(a, step) @ w2 @ w["w4"].T

    found = run(quantize(model, ranges_for(model)), {"image": image})["landmarks"]

    assert np.abs(found - expected).max() <= ROUNDING * np.abs(expected).max()


def test_quantize_leaves_named_nodes_float(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model), leave_float=["c2"])

    assert edges(quantized, "c2") == ["r1", "w2"]
    assert edges(quantized, "c1") == ["q(x)", "q(w1)"]
    assert edges(quantized, "sum") == ["c2", "x"]


def test_quantize_leaves_named_blocks_float(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(RESIDUAL)

    quantized = quantize(model, ranges_for(model), leave_float=["block-00"])

    assert edges(quantized, "c1") == ["x", "w1"]
    assert edges(quantized, "c2") == ["q(r1)", "q(w2)"]


def test_quantize_gives_the_same_bytes_twice_and_leaves_its_argument_alone(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    model = float_graph(RESIDUAL)
    before = bytes_from_graph(model)

    one, other = (bytes_from_graph(quantize(model, ranges_for(model))) for _ in range(2))

    assert one == other
    assert bytes_from_graph(model) == before


def test_quantize_passes_the_full_checker(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(SAMPLED)

    quantized = quantize(model, ranges_for(model))

    onnx.checker.check_model(ir.to_proto(quantized), full_check=True)


def test_quantize_refuses_a_quantised_graph(float_graph: Parse, ranges_for: RangesFor) -> None:
    model = float_graph(RESIDUAL)
    quantized = quantize(model, ranges_for(model))

    with pytest.raises(GraphContractError, match=r"quantised already: .*; start from the FP32"):
        quantize(quantized, ranges_for(model))


def test_quantize_refuses_a_missing_range(float_graph: Parse) -> None:
    with pytest.raises(CalibrationError, match="no range for `x`; calibrate on this graph"):
        quantize(float_graph(RESIDUAL), {})


@pytest.mark.parametrize("amax", [float("nan"), float("inf"), -1.0])
def test_quantize_refuses_a_range_that_is_none(
    float_graph: Parse, ranges_for: RangesFor, amax: float
) -> None:
    model = float_graph(RESIDUAL)

    with pytest.raises(CalibrationError, match=f"the range of `x` is {amax}; calibrate again"):
        quantize(model, ranges_for(model) | {"x": amax})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("c11", r"no node or block 'c11' .*; did you mean 'c1'\?", id="near"),
        pytest.param("elsewhere", "'elsewhere' .*; see `blocks_of`", id="far"),
    ],
)
def test_quantize_refuses_unknown_names(
    float_graph: Parse, ranges_for: RangesFor, name: str, message: str
) -> None:
    model = float_graph(RESIDUAL)

    with pytest.raises(UsageError, match=message):
        quantize(model, ranges_for(model), leave_float=[name])


def test_quantize_leaves_products_of_coordinates_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    text = """
    g (float[B,16] image, float[16,20] w0, float[20,20] w1, float[20,16] w2, float[16,20] w3,
       float[20,2] w4, float[16] wb) => (float[B,16] landmarks, float[B,2] more)
    { x = MatMul(image, w0)
      y = MatMul(x, w1)
      landmarks = MatMul(y, w2)
      relative = Sub(landmarks, wb)
      encoded = MatMul(relative, w3)
      more = MatMul(encoded, w4) }
    """
    model = float_graph(text)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "y") == ["q(x)", "q(w1)"]
    assert edges(quantized, "encoded") == ["relative", "w3"]


def test_quantize_leaves_layers_of_few_terms_float(
    float_graph: Parse, ranges_for: RangesFor
) -> None:
    text = """
    g (float[B,16] image, float[16,15] w0, float[15,16] w1, float[16,16] w2, float[16,2] w3)
      => (float[B,2] landmarks)
    { x = MatMul(image, w0)
      y = MatMul(x, w1)
      z = MatMul(y, w2)
      landmarks = MatMul(z, w3) }
    """
    model = float_graph(text)

    quantized = quantize(model, ranges_for(model))

    assert edges(quantized, "y") == ["x", "w1"]
    assert edges(quantized, "z") == ["q(y)", "q(w2)"]
