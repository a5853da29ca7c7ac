"""Rules by release: a graph that breaks each, and the same graph where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.target_lint import Finding

Lint = Callable[..., list[Finding]]
RELU = "g (float[1, 2] x) => (float[1, 2] y) { [n] y = Relu(x) }"
SAMPLE = """
g (float[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float[1, 2, 3, 3] y)
{ [s] y = GridSample<%s>(x, grid) }
"""
VOLUME = """
g (float[1, 2, 4, 4, 4] x, float[1, 3, 3, 3, 3] grid) => (float[1, 2, 3, 3, 3] y)
{ [s] y = GridSample(x, grid) }
"""
NORM = """
g (float[2, 8] x) => (float[2, 8] y) <float[8] scale = {1, 1, 1, 1, 1, 1, 1, 1}>
{ [n] y = LayerNormalization(x, scale) }
"""
TOP_K = """
g (float[1, 9] x, int64[1] k) => (float[1, n] y, int64[1, n] i) { [t] y, i = TopK(x, k) }
"""
ARG_MAX = """
g (int32[1, 9] x) => (int64[1, 1] y) { [a] y = ArgMax<axis = 1>(x) }
"""
EQUAL = "g (bool[4] x) => (bool[4] y) { [e] y = Equal(x, x) }"
SLICE = """
g (float[4, 4] x, int64[1] axes) => (float[p, q] y) <int64[1] one = {1}, int64[1] two = {2}>
{ [s] y = Slice(x, one, two, axes) }
"""
REDUCE = "g (float[4, 4] x, int64[1] axes) => (float[p, q] y) { [r] y = ReduceMin(x, axes) }"
ATTENTION = """
g (float[1, 2, 4, 8] q, float[1, 2, 4, 8] k, float[1, 2, 4, 8] v) => (float[1, 2, 4, 8] y)
{ [a] y = Attention(q, k, v) }
"""
EINSUM = 'g (float[2, 2] x) => (float[2, 2] y) { [e] y = Einsum<equation = "ij,jk->ik">(x, x) }'
IF = """
g (bool c, float[1, 2, 4, 4] x) => (float[1, 2, h, w] y) <float[4] s = {1, 1, 2, 2}>
{
  [choice] z = If(c) <
    then_branch = t () => (float[1, 2, 4, 4] a) { a = Relu(x) },
    else_branch = e () => (float[1, 2, 4, 4] b) { b = Abs(x) }
  >
  y = %s
}
"""


@pytest.mark.parametrize(
    ("rule", "text", "opset", "refuses", "takes"),
    [
        pytest.param("opset", RELU, 19, "jetpack-6.0", "jetpack-6.2", id="19-on-8.6"),
        pytest.param("opset", RELU, 21, "jetpack-6.2", "jetpack-7.2", id="21-on-10.3"),
        pytest.param("opset", RELU, 25, "tensorrt-11", "onnxruntime", id="25-on-11"),
        pytest.param("operator-importer", NORM, 17, "jetpack-5.1", "jetpack-6.0", id="layer-norm"),
        pytest.param(
            "operator-importer", ATTENTION, 23, "tensorrt-10.13", "tensorrt-10.16", id="attention"
        ),
        pytest.param("operator-types", ARG_MAX, 17, "jetpack-5.1", "jetpack-6.0", id="arg-max"),
        pytest.param("operator-types", EQUAL, 19, "tensorrt-11", "onnxruntime", id="equal-of-bool"),
        pytest.param("constant-inputs", TOP_K, 17, "jetpack-5.1", "jetpack-6.0", id="computed-k"),
        pytest.param(
            "constant-inputs", SLICE, 19, "jetpack-6.2", "jetpack-7.1", id="computed-axes"
        ),
        pytest.param("constant-inputs", REDUCE, 19, "tensorrt-11", "onnxruntime", id="reduce-min"),
        pytest.param(
            "grid-sample-opset",
            SAMPLE % 'mode = "linear"',
            20,
            "jetpack-6.2",
            "onnxruntime",
            id="nearest",
        ),
        pytest.param("grid-sample-rank", VOLUME, 19, "tensorrt-11", "jetpack-7.2.2", id="volume"),
    ],
)
def test_rule_refuses_on_one_target_and_takes_on_the_next(
    lint: Lint, rule: str, text: str, opset: int, refuses: str, takes: str
) -> None:
    refused = [each for each in lint(text, refuses, opset=opset) if each.rule == rule]
    taken = [each for each in lint(text, takes, opset=opset) if each.rule == rule]

    assert [each.severity for each in refused if each.severity == "error"] != []
    assert [each for each in taken if each.severity == "error"] == []


def test_opset_says_what_to_use(lint: Lint) -> None:
    (found,) = [each for each in lint(RELU, "jetpack-6.0") if each.severity == "error"]

    assert found.nodes == ()
    assert str(found) == (
        "opset 19 is beyond TensorRT 8.6.2, which reads 17; use opset 17, as `facealign export "
        "--target jetpack-6.0` writes it"
    )
    assert found.certainty == "measured"


@pytest.mark.parametrize("target", ["jetpack-7.1", "onnxruntime"])
def test_opset_warns_where_the_highest_is_a_guess(lint: Lint, target: str) -> None:
    (found,) = [each for each in lint(RELU, target, opset=22) if each.rule == "opset"]

    assert (found.severity, found.certainty) == ("warning", "unconfirmed")


def test_opset_finds_one_that_is_too_low(lint: Lint) -> None:
    (found,) = [each for each in lint(RELU, "tensorrt-11", opset=8) if each.rule == "opset"]

    assert str(found) == (
        "opset 8 is before TensorRT 11.1.0 to 11.4.0, which reads from 9 on; use opset 19"
    )


def test_operator_importer_names_node_first_release_and_way_out(lint: Lint) -> None:
    (found,) = [
        each for each in lint(NORM, "jetpack-5.1", opset=17) if each.rule == "operator-importer"
    ]

    assert found.nodes == ("n",)
    assert str(found) == (
        "LayerNormalization `n` has no importer in TensorRT 8.5.2, only from 8.6 on; write "
        "ReduceMean, Sub, Mul and Sqrt, in FP32"
    )
    assert found.source == "onnx/onnx-tensorrt 8.5-GA (fdeeaca) docs/operators.md"


@pytest.mark.parametrize(
    ("target", "certainty"), [("tensorrt-11", "issue"), ("jetpack-7.2.2", "unconfirmed")]
)
def test_grid_sample_opset_is_less_sure_after_the_last_report(
    lint: Lint, target: str, certainty: str
) -> None:
    text = SAMPLE % 'mode = "linear"'

    (found,) = [each for each in lint(text, target, opset=20) if each.rule == "grid-sample-opset"]

    assert found.certainty == certainty


@pytest.mark.parametrize(("target", "opset"), [("jetpack-6.0", 17), ("jetpack-6.2", 19)])
def test_grid_sample_opset_says_which_opset_the_target_reads(
    lint: Lint, target: str, opset: int
) -> None:
    text = SAMPLE % 'mode = "linear"'

    (found,) = [each for each in lint(text, target, opset=20) if each.rule == "grid-sample-opset"]

    assert found.fix == f"export with opset {opset}"


@pytest.mark.parametrize(
    ("target", "ranks"),
    [("tensorrt-11", "4-D before 11.2"), ("jetpack-7.2.2", "4-D, or from 11.2 on 5-D")],
)
def test_grid_sample_rank_says_which_the_target_reads(lint: Lint, target: str, ranks: str) -> None:
    text = """
    g (float[1, 2, 4] x, float[1, 3, 1] grid) => (float[1, 2, 3] y) { [s] y = GridSample(x, grid) }
    """

    found = [each.fix for each in lint(text, target) if each.rule == "grid-sample-rank"]

    assert found == [f"it must be {ranks}"] * 2


@pytest.mark.parametrize("target", ["jetpack-5.1", "tensorrt-11"])
def test_grid_sample_of_opset_17_is_taken_everywhere(lint: Lint, target: str) -> None:
    found = lint(SAMPLE % 'mode = "bilinear"', target, opset=17)

    assert [each for each in found if each.severity != "note"] == []


def test_operator_unknown_warns_once_for_an_operator(lint: Lint) -> None:
    text = """
    g (float[4] x) => (float[4] z) { [t] y = ThresholdedRelu(x) [u] z = ThresholdedRelu(y) }
    """

    (found,) = [each for each in lint(text, "tensorrt-11") if each.severity != "note"]

    assert (found.severity, found.rule, found.nodes) == ("warning", "operator-unknown", ("t", "u"))


def test_operator_restrictions_passes_on_the_words_of_the_table(lint: Lint) -> None:
    old = [each for each in lint(EINSUM, "jetpack-5.1", opset=17) if each.nodes == ("e",)]
    new = [each for each in lint(EINSUM, "tensorrt-11", opset=17) if each.nodes == ("e",)]

    assert [each.rule for each in old] == ["operator-restrictions"]
    assert "Broadcasting between inputs is not supported" in old[0].why
    assert new == []


def test_operator_restrictions_says_the_same_of_two_tables_once(lint: Lint) -> None:
    (found,) = lint(ATTENTION, "tensorrt-11", opset=23)

    assert (found.severity, found.rule) == ("note", "operator-restrictions")
    assert found.why.startswith("Attention `a` is restricted in 11.1: Q, K, V and attn_mask must")


@pytest.mark.parametrize(
    ("end", "target", "count"),
    [
        pytest.param("Resize(z, , s)", "tensorrt-11", 1, id="reported"),
        pytest.param("Resize(z, , s)", "jetpack-7.2", 0, id="before"),
        pytest.param("Relu(z)", "tensorrt-11", 0, id="no-resize"),
    ],
)
def test_conditional_resize_warns(lint: Lint, end: str, target: str, count: int) -> None:
    found = [each for each in lint(IF % end, target) if each.rule == "conditional-resize"]

    assert [each.nodes for each in found] == [("choice",)] * count
