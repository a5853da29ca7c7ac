from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

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
