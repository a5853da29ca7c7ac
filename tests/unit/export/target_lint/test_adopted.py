"""Rules of the gate in the lint: a planted graph for each, and a clean neighbour."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from facealign.export.graph import read_graph
from facealign.export.target_lint import Finding, lint_graph
from facealign.export.target_lint.adopted import ADOPTED
from facealign.export.tensorrt.rules import RULES, WARNINGS
from facealign.targets import targets_from_names

Lint = Callable[..., list[Finding]]
SAMPLE = """
g (%s[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (%s[1, 2, 3, 3] y) { y = GridSample<%s>(x, grid) }
"""
TOP_K = """
g (float[1, 9] x) => (float[1, 1] y, int64[1, 1] i) <int64[1] k = {1}>
{ y, i = TopK<sorted = %d>(x, k) }
"""
RESIZE = """
g (float[1, 2, 4, 4] x) => (float[1, 2, 8, 8] y) <float[4] s = {1, 1, 2, 2}>
{ y = Resize<mode = "%s">(x, , s) }
"""
COMPUTED = """
g (float[1, 2, 4, 4] x, float[4] given) => (float[a, b, c, d] y)
<float[4] s = {1, 1, 2, 2}> { y = Resize(x, , %s) }
"""
POOL = """
g (float[1, 2, 8, 8] x) => (float[1, 2, h, w] y)
{ y = AveragePool<kernel_shape = [2, 2], dilations = [%d, %d]>(x) }
"""
NORM = """
g (float[2, 4] x) => (float[2, 4] y) <float[4] scale = {1, 1, 1, 1}>
{ y = LayerNormalization<stash_type = %d>(x, scale) }
"""
CAST = "g (float[4] x) => (float[4] y) { m = Cast<to = %d>(x) y = Cast<to = 1>(m) }"
IMAGE = "g (uint8[4] x) => (%s y) { y = %s }"
SQUARE = """
g (float16[1, 4] x) => (float16[1, 1] y) <int64[1] axes = {1}>
{ m = Mul(x, %s) y = ReduceMean(m, axes) }
"""
PAIR = """
g (float[4] x) => (float[4] y) <float s = {%s}, int8 z = {%d}>
{ i = QuantizeLinear(x, s, z) f = DequantizeLinear(i, s, z) y = Neg(f) }
"""
HALF_PAIR = """
g (%s[4] x) => (float[4] y) <float s = {1}, int8 z = {0}>
{ i = QuantizeLinear(x, s, z) f = DequantizeLinear(i, s, z) y = Neg(f) }
"""
SCALES = """
g (float[1, 2] x) => (float[1, 2] y) <float[%d] s = {%s}, int8[%d] z = {%s}>
{ i = QuantizeLinear(x, s, z) f = DequantizeLinear(i, s, z) y = Neg(f) }
"""
WEIGHT = """
g (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y)
<float a = {1}, int8 b = {0}, float[2] s = {1, 1}, int8[2] z = {0, 0},
 float[2, 2, 1, 1] w = {1, 2, 3, 4}>
{
  xi = QuantizeLinear(x, a, b) xf = DequantizeLinear(xi, a, b)
  wi = QuantizeLinear<axis = %d>(w, s, z) wf = DequantizeLinear<axis = %d>(wi, s, z)
  y = Conv(%s, wf)
}
"""
ENDS = """
g (float[4] x) => (%s[4] y) <float s = {1}, int8 z = {0}>
{ i = QuantizeLinear(x, s, z) y = %s }
"""
BIAS = """
g (float[1, 1, 4, 4] x, float[1, 1, 1, 1] w) => (float[1, 1, 4, 4] y)
<float s = {1}, int8 z = {0}, float[1] b = {1}>
{ i = QuantizeLinear(b, s, z) f = DequantizeLinear(i, s, z) kept = Identity(f) y = Conv(x, w, %s) }
"""
BEFORE = """
g (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y) <float s = {1}, int8 z = {0}>
{ i = QuantizeLinear(x, s, z) f = DequantizeLinear(i, s, z) y = %s(f) }
"""
COORDINATES = """
g (float[1, 2] x, float[2, 2] w) => (float[1, 2] y) <float s = {1}, int8 z = {0}>
{ m = MatMul(x, w) i = QuantizeLinear(m, s, z) f = DequantizeLinear(i, s, z) y = %s }
"""
BEHIND = """
g (float[1, 1, 4, 4] x, float[1, 1, 1, 1] w) => (float[1, 1, 4, 4] y) <float s = {1}, int8 z = {0}>
{ c = %s i = QuantizeLinear(c, s, z) f = DequantizeLinear(i, s, z) y = Relu(f) }
"""
SUM = """
g (float[1, 1, 4, 4] x, float[1, 1, 1, 1] w) => (float[1, 1, 4, 4] y) <float s = {1}, int8 z = {0}>
{
  c = Conv(x, w) i = QuantizeLinear(c, s, z) f = DequantizeLinear(i, s, z)
  j = QuantizeLinear(x, s, z) d = DequantizeLinear(j, s, z) y = Add(%s, d)
}
"""
CASES = [
    (
        "grid-sample-settings",
        "error",
        SAMPLE,
        ("float", "float", 'padding_mode = "wrap"'),
        ("float", "float", 'padding_mode = "zeros"'),
    ),
    (
        "grid-sample-border",
        "warning",
        SAMPLE,
        ("float", "float", 'padding_mode = "border"'),
        ("float", "float", 'padding_mode = "zeros"'),
    ),
    (
        "grid-sample-types",
        "warning",
        SAMPLE,
        ("float16", "float16", "align_corners = 0"),
        ("float", "float", "align_corners = 0"),
    ),
    ("top-k", "error", TOP_K, 0, 1),
    ("resize-settings", "error", RESIZE, "cubic", "linear"),
    ("resize-sizes", "warning", COMPUTED, "given", "s"),
    ("pooling", "error", POOL, (2, 2), (1, 1)),
    ("layer-normalization", "error", NORM, 16, 1),
    ("unsupported-types", "error", CAST, 11, 10),
    ("uint8-tensors", "error", IMAGE, ("uint8[4]", "Identity(x)"), ("float[4]", "Cast<to = 1>(x)")),
    ("uint8-shapes", "warning", IMAGE, ("int64[1]", "Shape(x)"), ("float[4]", "Cast<to = 1>(x)")),
    ("half-precision-square", "warning", SQUARE, "x", "Half"),
    ("zero-points", "error", PAIR, ("1", 3), ("1", 0)),
    ("scales", "error", PAIR, ("0", 0), ("1", 0)),
    ("scale-shapes", "error", SCALES, (2, "1, 1", 2, "0, 0"), (1, "1", 1, "0")),
    ("weight-axes", "error", WEIGHT, (1, 1, "xf"), (0, 0, "xf")),
    ("half-quantized-products", "warning", WEIGHT, (0, 0, "x"), (0, 0, "xf")),
    (
        "unpaired-quantizers",
        "error",
        ENDS,
        ("int8", "Identity(i)"),
        ("float", "DequantizeLinear(i, s, z)"),
    ),
    ("quantized-biases", "error", BIAS, "f", "b"),
    ("quantized-inputs", "error", BEFORE, "Tanh", "Neg"),
    ("quantized-coordinates", "error", COORDINATES, "Neg(f)", "Softplus(f)"),
    ("quantizers-behind-convolution", "error", BEHIND, "Conv(x, w)", "Softplus(x)"),
    ("quantized-sums", "warning", SUM, "f", "c"),
]
# Asked below: of another opset, of nodes without types, and of a file beside the graph. Mixed types
# are those that the ONNX checker finds first, but for operators that it has no rule for.
ASKED_BELOW = {"external-data", "mixed-types", "scale-types", "unknown-types"}
# The gate's, for which `release`, `types` and `custom` have rules of the same names by target.
BY_TARGET = {
    "constant-operands",
    "foreign-domains",
    "grid-sample-in-half",
    "grid-sample-opset",
    "grid-sample-rank",
    "local-functions",
    "operators-without-importer",
    "opset-beyond-oldest-release",
    "opset-range",
    "quantized-types",
}


@pytest.mark.parametrize(
    ("rule", "severity", "text", "planted", "clean"), CASES, ids=[case[0] for case in CASES]
)
def test_rule_finds_what_is_planted_and_passes_its_neighbour(
    lint: Lint, rule: str, severity: str, text: str, planted: object, clean: object
) -> None:
    found = [each for each in lint(text % planted, "tensorrt-11") if each.rule == rule]
    neighbour = [each for each in lint(text % clean, "tensorrt-11") if each.rule == rule]

    assert {each.severity for each in found} == {severity}
    assert all(each.source and each.why and each.fix for each in found)
    assert neighbour == []


@pytest.mark.parametrize(("dtype", "count"), [("float16", 1), ("float", 0)])
def test_scale_types_finds_what_opset_23_allows(lint: Lint, dtype: str, count: int) -> None:
    found = lint(HALF_PAIR % dtype, "tensorrt-11", opset=23)

    assert [each.severity for each in found if each.rule == "scale-types"] == ["error"] * count


@pytest.mark.parametrize(
    ("rule", "second"), [("unknown-types", "local.Any(x)"), ("mixed-types", "Cast<to = 10>(x)")]
)
def test_rules_are_asked_behind_an_operator_without_a_body(
    lint: Lint, rule: str, second: str
) -> None:
    text = "g (float[4] x) => (float[4] z) { a = %s [n] y = local.Blend(a, x) z = Relu(x) }"

    found = lint(text % second, "tensorrt-11", domains=', "local": 1')

    assert rule in {each.rule for each in found}


@pytest.mark.parametrize(("is_outside", "severities"), [(True, ["warning"]), (False, [])])
def test_external_data_warns_and_reads_nothing(
    tmp_path: Path, is_outside: bool, severities: list[str]
) -> None:
    text = "g (float[2] x) => (float[2] y) <float[2] bias = {1, 2}> { y = Add(x, bias) }"
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
    bias = onnx.numpy_helper.from_array(np.ones(2, np.float32), "bias")
    proto.graph.initializer[0].CopyFrom(bias)
    file = tmp_path / "model.onnx"
    onnx.save(proto, file, save_as_external_data=is_outside, size_threshold=0, location="w.bin")

    (report,) = lint_graph(read_graph(file), targets_from_names(["tensorrt-11"]))

    assert [each.severity for each in report.findings if each.rule == "external-data"] == severities


def test_every_rule_of_the_gate_has_its_place() -> None:
    gate = {str(rule.__name__).replace("_", "-") for rule in (*RULES, *WARNINGS)}
    adopted = {rule.name for rule in ADOPTED}

    assert adopted == gate - BY_TARGET
    assert {case[0] for case in CASES} == adopted - ASKED_BELOW


def test_rules_hold_from_a_release_on(lint: Lint) -> None:
    old = [each for each in lint(TOP_K % 0, "jetpack-6.0", opset=17) if each.rule == "top-k"]

    assert old == []
