"""The passes together, on the shapes that the exporter leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxsim
import pytest
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.passes.simplify import simplify

Parse = Callable[[str], ir.Model]
Run = Callable[[ir.Model, Mapping[str, NDArray[np.generic]]], dict[str, NDArray[np.float32]]]
ROUNDING = 1e-6  # max measured 0

WASTEFUL = """
g (float[B, 2, 4, 4] x) => (float[B, 2, 8, 8] y, float[B, 2, 4, 4] probe)
<int64[2] hw = {8, 8}, float[1] one = {1.5}, float[1] again = {1.5}>
{
  probe = Mul(x, one)
  twin = Mul(x, again)
  sum = Add(probe, twin)
  same = Identity(sum)
  unused = Neg(same)
  bc = Shape<start = 0, end = 2>(x)
  sizes = Concat<axis = 0>(bc, hw)
  y = Resize<mode = "linear">(same, , , sizes)
}
"""


def test_simplify_leaves_only_what_outputs_need(model_from_text: Parse) -> None:
    graph = simplify(model_from_text(WASTEFUL), outputs=("y",)).graph

    assert [node.op_type for node in graph] == ["Mul", "Add", "Resize"]
    assert [value.name for value in graph.outputs] == ["y"]


def test_simplify_keeps_name_of_dropped_output(model_from_text: Parse) -> None:
    graph = simplify(model_from_text(WASTEFUL), outputs=("y",)).graph

    assert "probe" in {value.name for node in graph for value in node.outputs}


def test_simplify_keeps_numbers(model_from_text: Parse, run: Run, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2, 4, 4)).astype(np.float32)
    before = run(model_from_text(WASTEFUL), {"x": x})["y"]

    after = run(simplify(model_from_text(WASTEFUL), outputs=("y",)), {"x": x})["y"]

    assert np.abs(after - before).max() <= ROUNDING


def test_simplify_gives_same_graph_twice(model_from_text: Parse) -> None:
    once = simplify(model_from_text(WASTEFUL), outputs=("y",))
    before = onnx.printer.to_text(ir.to_proto(once).graph)

    twice = simplify(once, outputs=("y",))

    assert onnx.printer.to_text(ir.to_proto(twice).graph) == before


def test_simplify_raises_what_a_pass_raises(
    model_from_text: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubtful(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
        return proto, False

    monkeypatch.setattr(onnxsim, "simplify", doubtful)

    with pytest.raises(GraphContractError, match="onnxsim changed what the graph computes"):
        simplify(model_from_text(WASTEFUL), outputs=("y",))
