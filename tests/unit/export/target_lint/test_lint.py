"""The lint as a whole: order, what breaks the standard, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.graph import bytes_from_graph
from facealign.export.passes.lower import lower
from facealign.export.target_lint import Finding, lint_graph
from facealign.targets import discover_targets, targets_from_names
from tests.unit.export.tensorrt.test_rules import GOOD

Lint = Callable[..., list[Finding]]
TENSORRT_10 = [
    target
    for target in discover_targets()
    if target.engine == "tensorrt" and target.oldest >= (10, 3)
]
BAD = """
g (float[B, 2, 4, 4] x, float[B, 3, 3, 2] grid) => (float[B, 2, 3, 3] y)
{ m = ThresholdedRelu(x) [s] y = GridSample<mode = "linear">(m, grid) }
"""
MALFORMED = "g (float[4] x) => (float[4] y) { [n] y = Conv(x) }"


@pytest.mark.parametrize("target", [each.name for each in TENSORRT_10])
def test_quantised_network_passes(lint: Lint, target: str) -> None:
    assert [each for each in lint(GOOD, target) if each.severity != "note"] == []


def test_findings_are_ordered_by_severity(lint: Lint) -> None:
    found = [each.severity for each in lint(BAD, "jetpack-6.2", opset=20)]

    assert sorted(set(found), key=found.index) == ["error", "warning", "note"]
    assert found == sorted(found, key=["error", "warning", "note"].index)


@pytest.mark.parametrize("target", ["tensorrt-11", "onnxruntime"])
def test_broken_standard_is_the_only_finding(lint: Lint, target: str) -> None:
    (found,) = lint(MALFORMED, target)

    assert (found.severity, found.rule) == ("error", "onnx-standard")
    assert "\n" not in str(found)
    assert str(found).startswith("the ONNX checker refuses the graph: ")


WEIGHTED = """
g (float[4] x) => (float[4] y) <float[4] b = {1, 2, 3, 4}>
{
  k = Constant<value = float[4] {1, 2, 3, 4}>()
  p = Add(x, b)
  q = Add(p, k)
  y = %s
}
"""


def with_weights_outside(text: str) -> ir.Model:
    """Return the graph of a text, whose weights are said to lie in a file that there is none of."""
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
    attribute = proto.graph.node[0].attribute[0]
    for tensor in (proto.graph.initializer[0], attribute.t):
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ones(4, np.float32), tensor.name))
        onnx.external_data_helper.set_external_data(tensor, "none.bin")
        tensor.ClearField("raw_data")
    return ir.from_proto(proto)


@pytest.mark.parametrize(
    ("end", "rules"),
    [
        pytest.param("Relu(q)", ["external-data", "external-data"], id="right"),
        pytest.param("Mul(q)", ["onnx-standard"], id="too-few-inputs"),
        pytest.param("Relu(nowhere)", ["onnx-standard"], id="nothing-gives-it"),
    ],
)
def test_broken_standard_is_found_beside_weights_in_another_file(
    end: str, rules: list[str]
) -> None:
    (report,) = lint_graph(
        with_weights_outside(WEIGHTED % end), targets_from_names(["tensorrt-11"])
    )

    assert [each.rule for each in report.findings if each.severity != "note"] == rules


def test_lint_graph_takes_a_function_of_another_opset(lint: Lint) -> None:
    text = """
    g (float[4] x) => (float[4] y) { y = local.Twice(x) }
    <domain: "local", opset_import: ["": 17]> Twice (x) => (y) { [inner] y = Celu(x) }
    """

    found = lint(text, "tensorrt-11", domains=', "local": 1')

    assert ("operator-unknown", ("inner",)) in [(each.rule, each.nodes) for each in found]


def test_nodes_that_are_taken_for_others_are_judged_no_further(lint: Lint) -> None:
    text = "g (float[4] x) => (float[4] y) { [n] y = local.GridSample(x) }"

    assert {each.rule for each in lint(text, "tensorrt-11", domains=', "local": 1')} == {
        "custom-operators"
    }


def test_lint_graph_leaves_the_graph_alone(model_from_text: Callable[[str], ir.Model]) -> None:
    model = lower(model_from_text(GOOD), patch_crop="standard")
    before = bytes_from_graph(model)

    lint_graph(model, discover_targets())

    assert bytes_from_graph(model) == before


def test_lint_graph_answers_in_order_of_the_targets(
    model_from_text: Callable[[str], ir.Model],
) -> None:
    targets = targets_from_names(["tensorrt-11", "jetpack-5.1"])

    reports = lint_graph(model_from_text(GOOD), targets)

    assert [report.target.name for report in reports] == ["tensorrt-11", "jetpack-5.1"]
    assert [bool(report.errors) for report in reports] == [False, True]


def test_lint_graph_finds_nodes_in_subgraphs(lint: Lint) -> None:
    text = """
    g (bool c, float[2, 8] x, float[8] s) => (float[2, 8] y)
    {
      y = If(c) <
        then_branch = t () => (float[2, 8] a) { [inner] a = LayerNormalization(x, s) },
        else_branch = e () => (float[2, 8] b) { b = Identity(x) }
      >
    }
    """

    found = lint(text, "jetpack-5.1", opset=17)

    assert [each.nodes for each in found if each.rule == "operator-importer"] == [("inner",)]


@pytest.fixture
def with_body() -> ir.Model:
    text = """
    <ir_version: 9, opset_import: ["": 19, "local": 1]>
    g (float[4] x) => (float[4] y) { [call] y = local.Twice(x) }
    <domain: "local", opset_import: ["": 19]> Twice (x) => (y) { y = Add(x, x) }
    """
    return ir.from_proto(onnx.parser.parse_model(text))


def test_lint_graph_leaves_functions_in_the_graph(with_body: ir.Model) -> None:
    lint_graph(with_body, discover_targets())

    assert [node.op_type for node in with_body.graph] == ["Twice"]
    assert len(with_body.functions) == 1
