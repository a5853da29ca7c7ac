from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.simplify.drop_outputs import DropOutputsPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]

THREE_OUTPUTS = """
g (float[B, 2] x) => (float[B, 2] first, float[B, 2] second, float[B, 2] third)
{
  first = Relu(x)
  second = Neg(first)
  third = Abs(second)
}
"""


def names_of(model: ir.Model) -> list[str | None]:
    return [value.name for value in model.graph.outputs]


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param(("third",), id="one"),
        pytest.param(("third", "first"), id="two-in-another-order"),
    ],
)
def test_drop_outputs_keeps_named_ones_in_that_order(
    model_from_text: Parse, keep: tuple[str, ...]
) -> None:
    result = DropOutputsPass(keep=keep)(model_from_text(THREE_OUTPUTS))

    assert result.modified
    assert names_of(result.model) == list(keep)


def test_drop_outputs_leaves_dropped_values_in_graph_by_name(model_from_text: Parse) -> None:
    result = DropOutputsPass(keep=("third",))(model_from_text(THREE_OUTPUTS))

    inner = [value.name for node in result.model.graph for value in node.outputs]
    assert inner == ["first", "second", "third"]


def test_drop_outputs_leaves_alone_what_has_only_those(model_from_text: Parse) -> None:
    result = DropOutputsPass(keep=("first", "second", "third"))(model_from_text(THREE_OUTPUTS))

    assert not result.modified
    assert names_of(result.model) == ["first", "second", "third"]


def test_drop_outputs_runs_twice_without_change(model_from_text: Parse) -> None:
    once = DropOutputsPass(keep=("third",))(model_from_text(THREE_OUTPUTS)).model

    assert not DropOutputsPass(keep=("third",))(once).modified


def test_drop_outputs_keeps_numbers(
    model_from_text: Parse, run: Run, rng: np.random.Generator
) -> None:
    x = rng.normal(size=(3, 2)).astype(np.float32)
    before = run(model_from_text(THREE_OUTPUTS), {"x": x})

    after = run(DropOutputsPass(keep=("third",))(model_from_text(THREE_OUTPUTS)).model, {"x": x})

    np.testing.assert_array_equal(after["third"], before["third"])


def test_drop_outputs_refuses_name_that_is_no_output(model_from_text: Parse) -> None:
    with pytest.raises(KeyError, match="fourth"):
        DropOutputsPass(keep=("fourth",))(model_from_text(THREE_OUTPUTS))
