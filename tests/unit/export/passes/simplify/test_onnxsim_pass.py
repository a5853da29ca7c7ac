from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxsim
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.passes.simplify.onnxsim_pass import OnnxsimPass

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ROUNDING = 1e-6  # max measured 0

FOLDABLE = """
g (float[B, 2] x) => (float[B, 2] y)
<float[2] a = {1, 2}, float[2] b = {3, 4}>
{
  sum = Add(a, b)
  same = Identity(x)
  y = Mul(same, sum)
}
"""
SIMPLE = """
g (float[B, 2] x) => (float[B, 2] y)
<float[2] a = {4, 6}>
{ y = Mul(x, a) }
"""


def test_onnxsim_folds_constants(model_from_text: Parse) -> None:
    result = OnnxsimPass()(model_from_text(FOLDABLE))

    assert result.modified
    assert [node.op_type for node in result.model.graph] == ["Mul"]


def test_onnxsim_leaves_simple_graph_alone(model_from_text: Parse) -> None:
    result = OnnxsimPass()(model_from_text(SIMPLE))

    assert not result.modified
    assert [node.op_type for node in result.model.graph] == ["Mul"]


def test_onnxsim_runs_twice_without_change(model_from_text: Parse) -> None:
    once = OnnxsimPass()(model_from_text(FOLDABLE)).model

    assert not OnnxsimPass()(once).modified


def test_onnxsim_keeps_numbers(model_from_text: Parse, run: Run, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2)).astype(np.float32)
    before = run(model_from_text(FOLDABLE), {"x": x})["y"]

    after = run(OnnxsimPass()(model_from_text(FOLDABLE)).model, {"x": x})["y"]

    assert np.abs(after - before).max() <= ROUNDING


def test_onnxsim_refuses_result_that_its_own_check_doubts(
    model_from_text: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubtful(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
        return proto, False

    monkeypatch.setattr(onnxsim, "simplify", doubtful)

    with pytest.raises(GraphContractError, match="onnxsim changed what the graph computes"):
        OnnxsimPass()(model_from_text(SIMPLE))
