"""Rules on operators: a graph that breaks each, and one that does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.tensorrt.operators import (
    constant_operands,
    grid_sample_border,
    grid_sample_opset,
    grid_sample_rank,
    grid_sample_settings,
    layer_normalization,
    operators_without_importer,
    pooling,
    resize_settings,
    resize_sizes,
    top_k,
)

Find = Callable[..., list[str]]
SAMPLE = """
g (float[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float[1, 2, 3, 3] y)
{ [s] y = GridSample<%s>(x, grid) }
"""
SAMPLE_5D = """
g (float[1, 2, 4, 4, 4] x, float[1, 3, 3, 3, 3] grid) => (float[1, 2, 3, 3, 3] y)
{ [s] y = GridSample(x, grid) }
"""


@pytest.mark.parametrize("opset", [20, 22])
def test_grid_sample_opset_finds_opset_20(find: Find, opset: int) -> None:
    assert find(grid_sample_opset, SAMPLE % 'mode = "linear"', opset=opset) == [
        (
            f"GridSample `s` is at opset {opset}, which TensorRT silently runs as nearest; "
            "export with opset 19"
        )
    ]


def test_grid_sample_opset_finds_node_in_subgraph(find: Find) -> None:
    text = """
    g (bool c, float[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float[1, 2, 3, 3] y)
    {
      y = If(c) <
        then_branch = t () => (float[1, 2, 3, 3] a) { [inner] a = GridSample(x, grid) },
        else_branch = e () => (float[1, 2, 3, 3] b) { b = GridSample(x, grid) }
      >
    }
    """

    problems = find(grid_sample_opset, text, opset=20)

    assert problems[0].startswith("GridSample `inner` is at opset 20")


@pytest.mark.parametrize(("opset", "text"), [(19, SAMPLE % 'mode = "bilinear"')])
def test_grid_sample_opset_allows_opset_19(find: Find, opset: int, text: str) -> None:
    assert find(grid_sample_opset, text, opset=opset) == []


def test_grid_sample_opset_allows_opset_20_without_grid_sample(find: Find) -> None:
    text = "g (float[1] x) => (float[1] y) { y = Relu(x) }"

    assert find(grid_sample_opset, text, opset=20) == []


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_grid_sample_settings_finds_mode(find: Find, mode: str) -> None:
    assert find(grid_sample_settings, SAMPLE % f'mode = "{mode}"') == [
        (
            f"GridSample `s` has mode '{mode}'; TensorRT reads it as nearest, so write one of "
            "bilinear, nearest, bicubic at opset 19 or below"
        )
    ]


def test_grid_sample_settings_finds_padding(find: Find) -> None:
    assert find(grid_sample_settings, SAMPLE % 'padding_mode = "wrap"') == [
        "GridSample `s` has padding 'wrap'; write one of zeros, border, reflection"
    ]


def test_grid_sample_rank_finds_volumes(find: Find) -> None:
    assert find(grid_sample_rank, SAMPLE_5D) == [
        "GridSample `s` has its input 5-D; it must be 4-D before 11.2",
        "GridSample `s` has its grid 5-D; it must be 4-D before 11.2",
    ]


def test_grid_sample_rank_finds_unknown_rank(find: Find) -> None:
    text = """
    g (float[1, 2, 4, 4] x, float[18] flat, int64[k] shape) => (float[1, 2, 3, 3] y)
    { grid = Reshape(flat, shape) [s] y = GridSample(x, grid) }
    """

    assert find(grid_sample_rank, text) == [
        "GridSample `s` has its grid of unknown rank; it must be 4-D before 11.2"
    ]


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_settings_allows(find: Find, mode: str, padding: str) -> None:
    text = SAMPLE % f'mode = "{mode}", padding_mode = "{padding}"'

    assert find(grid_sample_settings, text) == []
    assert find(grid_sample_rank, text) == []


def test_grid_sample_border_warns(find: Find) -> None:
    (warning,) = find(grid_sample_border, SAMPLE % 'padding_mode = "border"')

    assert warning.startswith("GridSample `s` pads with the border, once reported wrong")
    assert warning.endswith("test it on the device, or clamp the grid and pad with zeros")


def test_grid_sample_border_is_silent_about_zeros(find: Find) -> None:
    assert find(grid_sample_border, SAMPLE % 'padding_mode = "zeros"') == []


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        pytest.param(
            "y, s, z = DynamicQuantizeLinear(x)",
            "DynamicQuantizeLinear `n` has no importer in TensorRT 10.3 to 11.4; "
            "quantise with constant scales",
            id="dynamic",
        ),
        pytest.param(
            "y = MatMulInteger(x, x)",
            "MatMulInteger `n` has no importer in TensorRT 10.3 to 11.4; "
            "write DequantizeLinear and MatMul",
            id="integer",
        ),
        pytest.param(
            "y = RotaryEmbedding(x, x, x)",
            "RotaryEmbedding `n` has no importer in TensorRT 10.3 to 11.4, "
            "only from 10.16 on; write it as arithmetic",
            id="late",
        ),
    ],
)
def test_operators_without_importer_finds(find: Find, node: str, problem: str) -> None:
    text = f"g (float[2, 2] x) => (y) {{ [n] {node} }}"

    assert find(operators_without_importer, text) == [problem]


def test_operators_without_importer_allows_conv(find: Find) -> None:
    text = "g (float[1, 1, 4, 4] x, float[1, 1, 3, 3] w) => (y) { y = Conv(x, w) }"

    assert find(operators_without_importer, text) == []


@pytest.mark.parametrize(
    ("node", "what"),
    [
        pytest.param("ReduceMean(x, k)", "axes", id="reduce-mean"),
        pytest.param("ReduceL2(x, k)", "axes", id="reduce-l2"),
        pytest.param("Squeeze(x, k)", "axes", id="squeeze"),
        pytest.param("Unsqueeze(x, k)", "axes", id="unsqueeze"),
        pytest.param("Slice(x, one, one, k)", "axes", id="slice"),
        pytest.param("Pad(x, pads, , k)", "axes", id="pad"),
        pytest.param("CumSum(x, k)", "axis", id="cumsum"),
        pytest.param("OneHot(k, k, values)", "depth", id="one-hot"),
    ],
)
def test_constant_operands_finds_what_is_computed(find: Find, node: str, what: str) -> None:
    computed = constant_text(node, "int64[1] k", "")
    constant = constant_text(node, "", "int64[1] k = {1},")

    assert find(constant_operands, computed) == [
        f"{node.partition('(')[0]} `n` computes its {what} `k`; make them an initializer"
    ]
    assert find(constant_operands, constant) == []


def test_constant_operands_finds_computed_k(find: Find) -> None:
    text = "g (float[1, 9] x, int64[1] k) => (v, i) { [n] v, i = TopK(x, k) }"

    assert find(constant_operands, text) == [
        "TopK `n` computes its K `k`; make them an initializer"
    ]


def test_constant_operands_allows_constant_node_and_attribute(find: Find) -> None:
    text = """
    g (float[2, 3] x) => (y)
    { k = Constant<value_ints = [1]>() a = Identity(k) b = ReduceSum(x, a) y = Squeeze(b, k) }
    """

    assert find(constant_operands, text) == []


def constant_text(node: str, inputs: str, initializers: str) -> str:
    """Return a graph of one node, of which `k` is an input or an initializer."""
    return f"""
    g (float[1, 1, 4] x{"," if inputs else ""} {inputs}) => (y)
    <{initializers} int64[1] one = {{1}}, int64[2] pads = {{0, 0}}, float[2] values = {{0, 1}}>
    {{ [n] y = {node} }}
    """


TOP_K = "g (float[1, 5000] x) => (v, i) <int64[1] k = {%d}> { [n] v, i = TopK<%s>(x, k) }"


def test_top_k_finds_too_many(find: Find) -> None:
    assert find(top_k, TOP_K % (3840, "sorted = 1")) == [
        "TopK `n` has K = 3840; it must be below 3840"
    ]


def test_top_k_finds_unsorted(find: Find) -> None:
    assert find(top_k, TOP_K % (4, "sorted = 0")) == ["TopK `n` is not sorted; set sorted=1"]


def test_top_k_allows_most(find: Find) -> None:
    assert find(top_k, TOP_K % (3839, "sorted = 1")) == []


RESIZE = """
g (float[1, 2, 4, 4] x) => (y) <float[%d] scales = {%s}>
{ [r] y = Resize<%s>(x, , scales) }
"""


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        pytest.param('mode = "cubic"', "has mode 'cubic'; write one of nearest, linear", id="mode"),
        pytest.param(
            'keep_aspect_ratio_policy = "not_larger"',
            "has keep_aspect_ratio_policy 'not_larger'; write one of stretch",
            id="policy",
        ),
        pytest.param(
            'coordinate_transformation_mode = "half_pixel_symmetric"',
            "has coordinate_transformation_mode 'half_pixel_symmetric'; write one of half_pixel, "
            "pytorch_half_pixel, tf_half_pixel_for_nn, asymmetric, align_corners",
            id="coordinates",
        ),
        pytest.param(
            'nearest_mode = "other"',
            "has nearest_mode 'other'; write one of floor, ceil, round_prefer_floor, "
            "round_prefer_ceil",
            id="rounding",
        ),
        pytest.param(
            "antialias = 1", "antialiases, which TensorRT does not; set antialias=0", id="antialias"
        ),
    ],
)
def test_resize_settings_finds(find: Find, setting: str, problem: str) -> None:
    text = RESIZE % (4, "1, 1, 2, 2", setting)

    assert find(resize_settings, text) == [f"Resize `r` {problem}"]


def test_resize_settings_finds_some_axes(find: Find) -> None:
    assert find(resize_settings, RESIZE % (2, "2, 2", "axes = [2, 3]")) == [
        "Resize `r` resizes axes [2, 3] alone; give a scale for every axis in order"
    ]


@pytest.mark.parametrize("setting", ['mode = "linear"', "axes = [0, 1, 2, 3]", "antialias = 0"])
def test_resize_settings_allows(find: Find, setting: str) -> None:
    assert find(resize_settings, RESIZE % (4, "1, 1, 2, 2", setting)) == []


def test_resize_sizes_warns_of_computed(find: Find) -> None:
    text = "g (float[1, 2, 4, 4] x, int64[4] k) => (y) { [r] y = Resize(x, , , k) }"

    assert find(resize_sizes, text) == [
        "Resize `r` computes its sizes `k`; make them an initializer"
    ]


def test_resize_sizes_is_silent_about_constant(find: Find) -> None:
    assert find(resize_sizes, RESIZE % (4, "1, 1, 2, 2", 'mode = "linear"')) == []


@pytest.mark.parametrize(
    ("shape", "node", "problem"),
    [
        pytest.param(
            "1, 1, 8, 8",
            "y = MaxPool<kernel_shape = [2, 2], dilations = [2, 1]>(x)",
            "MaxPool `p` is dilated, which TensorRT's pools are not; gather the steps",
            id="dilated",
        ),
        pytest.param(
            "1, 1, 8",
            "y = AveragePool<kernel_shape = [2]>(x)",
            "AveragePool `p` is not 2-D or 3-D; unsqueeze to a map",
            id="1-D",
        ),
        pytest.param(
            "1, 1, 8, 8",
            "m, y = MaxPool<kernel_shape = [2, 2]>(x)",
            "MaxPool `p` gives indices, which TensorRT does not; use the values alone",
            id="indices",
        ),
    ],
)
def test_pooling_finds(find: Find, shape: str, node: str, problem: str) -> None:
    assert find(pooling, f"g (float[{shape}] x) => (y) {{ [p] {node} }}") == [problem]


@pytest.mark.parametrize("op_type", ["MaxPool", "AveragePool"])
def test_pooling_allows_plain_pool(find: Find, op_type: str) -> None:
    node = f"{op_type}<kernel_shape = [2, 2], dilations = [1, 1]>(x)"

    assert find(pooling, f"g (float[1, 1, 8, 8] x) => (y) {{ y = {node} }}") == []


NORM = (
    "g (float[1, 4] x) => (y) <float[4] s = {1, 1, 1, 1}> { [l] %s = LayerNormalization%s(x, s) }"
)


@pytest.mark.parametrize("outputs", ["z, y", "z, a, y"])
def test_layer_normalization_finds_statistics(find: Find, outputs: str) -> None:
    assert find(layer_normalization, NORM % (outputs, "")) == [
        (
            "LayerNormalization `l` gives mean or deviation; use its first output alone, as "
            "TensorRT gives no other"
        )
    ]


def test_layer_normalization_finds_half_sums(find: Find) -> None:
    assert find(layer_normalization, NORM % ("y", "<stash_type = 10>")) == [
        "LayerNormalization `l` does not sum in FP32 and may overflow; set stash_type=1"
    ]


def test_layer_normalization_allows_plain(find: Find) -> None:
    assert find(layer_normalization, NORM % ("y", "")) == []
