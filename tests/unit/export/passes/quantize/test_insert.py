from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.errors import CalibrationError
from facealign.export.passes.quantize.insert import activation_scale

FULL, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def scale_of(amax: float, dtype: ir.DataType, levels: int = 127) -> NDArray[np.floating]:
    value = ir.Value(name="x", type=ir.TensorType(dtype), shape=ir.Shape(["B", 4]))
    return activation_scale(value, {"x": amax}, levels=levels)


@pytest.mark.parametrize(("dtype", "kind"), [(FULL, np.float32), (HALF, np.float16)])
def test_activation_scale_makes_the_range_the_largest_level_in_the_type_of_the_data(
    dtype: ir.DataType, kind: type[np.floating]
) -> None:
    scale = scale_of(51.0, dtype, levels=255)

    assert (scale.dtype, scale.shape) == (np.dtype(kind), ())
    assert float(scale) == float(kind(0.2))


def test_activation_scale_of_what_was_always_zero_holds_numbers_up_to_one() -> None:
    assert float(scale_of(0.0, FULL)) == float(np.float32(1 / 127))


def cast_of(value: ir.Value, dtype: ir.DataType) -> ir.Value:
    made = ir.Value(name=f"{value.name}.cast", type=ir.TensorType(dtype))
    return ir.node("Cast", [value], {"to": int(dtype)}, outputs=[made]).outputs[0]


def test_activation_scale_of_a_cast_is_that_of_what_was_observed() -> None:
    value = ir.Value(name="x", type=ir.TensorType(HALF))
    once = cast_of(value, FULL)
    twice = cast_of(once, HALF)

    assert float(activation_scale(once, {"x": 127.0})) == 1.0
    assert activation_scale(twice, {"x": 254.0}).dtype == np.float16
    assert float(activation_scale(twice, {"x": 254.0, "x.cast": 127.0})) == 1.0


def test_activation_scale_does_not_look_behind_a_cast_of_whole_numbers() -> None:
    picture = ir.Value(name="image", type=ir.TensorType(ir.DataType.UINT8))

    with pytest.raises(CalibrationError, match=r"there is no range for `image\.cast`"):
        activation_scale(cast_of(picture, FULL), {"image": 255.0})


@pytest.mark.parametrize(
    ("dtype", "amax", "smallest"),
    [
        pytest.param(FULL, 1e-42, np.finfo(np.float32).tiny, id="fp32"),
        pytest.param(HALF, 1e-3, np.finfo(np.float16).tiny, id="fp16"),
    ],
)
def test_activation_scale_is_a_normal_number_however_small_the_range(
    dtype: ir.DataType, amax: float, smallest: np.floating
) -> None:
    assert float(scale_of(amax, dtype)) == float(smallest)
