from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import pytest

from facealign.errors import GraphContractError
from facealign.export.passes.quantize import for_cpu, quantize, tensors_to_observe
from tests.unit.export.passes.quantize.test_tensorrt import GROUPED, PROJECTED, RESIDUAL

Parse = Callable[[str], ir.Model]


def test_tensors_to_observe_are_those_of_either_flavour(float_graph: Parse) -> None:
    assert tensors_to_observe(float_graph(RESIDUAL)) == ("c2", "r1", "x")


@pytest.mark.parametrize(
    ("text", "leave_float"),
    [
        pytest.param(RESIDUAL, [], id="all"),
        pytest.param(PROJECTED, ["side"], id="other-main-branch"),
        pytest.param(PROJECTED, ["c2"], id="first-main-branch"),
        pytest.param(GROUPED, [], id="grouped"),
    ],
)
def test_tensors_to_observe_are_enough_whatever_stays_float(
    float_graph: Parse, text: str, leave_float: list[str]
) -> None:
    model = float_graph(text)
    ranges = dict.fromkeys(tensors_to_observe(model), 1.0)

    quantize(model, ranges, leave_float=leave_float, grouped=True)
    for_cpu(model, ranges, leave_float=leave_float)


def test_tensors_to_observe_refuses_a_quantised_graph(float_graph: Parse) -> None:
    model = float_graph(RESIDUAL)
    quantized = quantize(model, dict.fromkeys(tensors_to_observe(model), 1.0))

    with pytest.raises(GraphContractError, match="quantised already"):
        tensors_to_observe(quantized)
