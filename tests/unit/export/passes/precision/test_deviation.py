from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.precision.deviation import deviation_by_node
from facealign.runtime.ort_engine import run_graph

Parse = Callable[[str], ir.Model]
# Of 2048 and more FP16 holds every second number: what is subtracted there comes back wrong.
FRAGILE = """
g (uint8[B, 8] image) => (float[B, 4, 2] landmarks)
<float[8, 8] w, float[1] far = {2048.7}, float[8, 8] head, int64[3] shape = {-1, 4, 2}>
{
  x = Cast<to = 1>(image)
  a = MatMul(x, w)
  small = Sigmoid(a)
  shifted = Add(small, far)
  back = Sub(shifted, far)
  smooth = Tanh(back)
  flat = MatMul(smooth, head)
  landmarks = Reshape(flat, shape)
}
"""


@pytest.fixture
def rows(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (8, 8), dtype=np.uint8)


def test_deviation_names_the_node_that_loses_precision(
    filled: Parse, rows: NDArray[np.uint8]
) -> None:
    found = deviation_by_node(filled(FRAGILE), rows, run=run_graph, least_px=0.1)

    assert found[0].values == ("shifted",)
    assert found[0].operators == ("Add",)
    assert found[0].max_px >= found[0].p99_px > 0.1


def test_deviation_is_sorted(filled: Parse, rows: NDArray[np.uint8]) -> None:
    found = deviation_by_node(filled(FRAGILE), rows, run=run_graph, least_px=1e-6, parts=2)

    distances = [each.p99_px for each in found]
    assert len(found) > 1
    assert distances == sorted(distances, reverse=True)


def test_deviation_is_empty_below_bar(filled: Parse, rows: NDArray[np.uint8]) -> None:
    assert deviation_by_node(filled(FRAGILE), rows, run=run_graph, least_px=1e4) == ()


def test_deviation_of_what_is_not_finite_is_infinite(
    filled: Parse, rows: NDArray[np.uint8]
) -> None:
    landmarks = iter([np.zeros((8, 4, 2), np.float32)])  # of the FP32 graph; NaN of any other

    def run_nan(_: bytes, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {"landmarks": next(landmarks, np.full((len(crops), 4, 2), np.nan, np.float32))}

    found = deviation_by_node(filled(FRAGILE), rows, run=run_nan, least_px=1e4)

    assert {each.max_px for each in found} == {np.inf}
