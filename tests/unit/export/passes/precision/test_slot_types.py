from __future__ import annotations

from collections.abc import Callable

import onnx
import onnx_ir as ir
import pytest

from facealign.export.passes.precision.slot_types import can_be_half, follows_node

Parse = Callable[[str], ir.Model]
RESIZE = """g (float[1, 1, 2, 2] x) => (float[1, 1, 4, 4] y) <float[4] scales = {1, 1, 2, 2}>
{ y = Resize<mode = "nearest">(x, , scales) }"""
GRID_SAMPLE = """g (float[1, 1, 2, 2] x, float[1, 1, 1, 2] grid) => (float[1, 1, 1, 1] y)
{ y = GridSample(x, grid) }"""
CONCAT = "g (float[1] a, float[1] b, float[1] c) => (float[3] y) { y = Concat<axis = 0>(a, b, c) }"


@pytest.mark.parametrize(
    ("text", "position", "follows"),
    [
        pytest.param(RESIZE, 0, True, id="map-of-resize"),
        pytest.param(RESIZE, 2, False, id="scales-of-resize"),
        pytest.param(GRID_SAMPLE, 0, True, id="map-of-grid-sample"),
        pytest.param(GRID_SAMPLE, 1, False, id="grid"),
        pytest.param(CONCAT, 2, True, id="last-of-many"),
        pytest.param("g (float[2] x) => (int64[1] y) { y = Shape(x) }", 0, False, id="shape"),
        pytest.param("g (float[2] x) => (int64[2] y) { y = Cast<to = 7>(x) }", 0, False, id="cast"),
    ],
)
def test_follows_node(model_from_text: Parse, text: str, position: int, follows: bool) -> None:
    assert follows_node(model_from_text(text).graph[0], position) is follows


def test_can_be_half_is_true_of_a_layer(model_from_text: Parse) -> None:
    text = "g (float[2, 2] x, float[2, 2] w) => (float[2, 2] y) { y = MatMul(x, w) }"

    assert can_be_half(model_from_text(text).graph[0])


def test_can_be_half_is_false_of_what_the_standard_has_in_float_only(
    model_from_text: Parse,
) -> None:
    text = """g (float[8] x) => (uint8[8] y, float scale, uint8 zero)
    { y, scale, zero = DynamicQuantizeLinear(x) }"""

    assert not can_be_half(model_from_text(text).graph[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (int64[1] n) => (float[N] y) { y = ConstantOfShape(n) }", id="constant-of-shape"
        ),
        pytest.param(
            "g (int64[2, 2] x) => (float[2, 2] y) { y = EyeLike<dtype = 1>(x) }", id="eye-like"
        ),
    ],
)
def test_can_be_half_is_false_of_what_an_attribute_types(model_from_text: Parse, text: str) -> None:
    assert not can_be_half(model_from_text(text).graph[0])


def test_can_be_half_is_true_of_a_cast(model_from_text: Parse) -> None:
    text = "g (uint8[2] x) => (float[2] y) { y = Cast<to = 1>(x) }"

    assert can_be_half(model_from_text(text).graph[0])


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose", "GridSample", "MaxPool"])
def test_standard_has_no_bfloat16_at_this_opset(operator: str) -> None:
    """Why there is no BF16 graph: a backbone of it needs opset 22, where GridSample is misread."""
    first = onnx.defs.get_schema(operator, 19).type_constraints[0]
    later = onnx.defs.get_schema(operator, 22).type_constraints[0]

    assert "tensor(bfloat16)" not in first.allowed_type_strs
    assert "tensor(bfloat16)" in later.allowed_type_strs
