"""Rules on types by release and GPU: a graph that breaks each, and the same where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.target_lint import Finding

Lint = Callable[..., list[Finding]]
CAST = "g (float[4] x) => (float[4] z) { [up] y = Cast<to = %d>(x) [down] z = Cast<to = 1>(y) }"
HALF, BRAIN = CAST % 10, CAST % 16
PAIR = """
g (float[4] x) => (float[4] y) <float s = {0.5}, %s z = {0}>
{ [q] i = QuantizeLinear(x, s, z) [d] f = DequantizeLinear(i, s, z) y = Neg(f) }
"""
SAMPLE_IN_HALF = """
g (float[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float[1, 2, 3, 3] z)
{ half = Cast<to = 10>(x) map = Cast<to = 1>(half) [s] z = GridSample(%s, grid) }
"""
ATTENTION = """
g (float16[2, 4, 8] q, float16[2, 8, 4] k, float16[2, 4, 8] v, bool[4, 4] m)
=> (float16[2, 4, 8] y) <float16 s = {2}, float16 least = {-9},
 int64[1] zero = {0}, int64[1] four = {4}, int64[1] two = {2}>
{ a = %s d = Div(a, s) e = Where(m, d, least) [soft] b = Softmax(e) c = Identity(b) y = %s }
"""
SCORES = "MatMul(q, k)"


def of_rule(found: list[Finding], rule: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.severity, each.nodes) for each in found if each.rule == rule]


@pytest.mark.parametrize(
    ("text", "target", "severity"),
    [
        pytest.param(BRAIN, "jetpack-6.0", "error", id="bf16-before-10"),
        pytest.param(BRAIN, "onnxruntime", "warning", id="bf16-on-a-cpu"),
        pytest.param(BRAIN, "tensorrt-10.3", "warning", id="bf16-not-on-turing"),
    ],
)
def test_precision_of_gpu_finds_bf16(lint: Lint, text: str, target: str, severity: str) -> None:
    assert of_rule(lint(text, target), "precision-of-gpu") == [(severity, ("up",))]


@pytest.mark.parametrize(
    "text",
    [
        "g (bfloat16[4] x) => (bfloat16[4] z) { [n] y = Relu(x) z = Relu(y) }",
        "g (bfloat16[4] x) => (float[4] y) { [n] y = Cast<to = 1>(x) }",
    ],
    ids=["computed", "cast"],
)
def test_precision_of_gpu_finds_bf16_that_comes_in(lint: Lint, text: str) -> None:
    assert of_rule(lint(text, "tensorrt-10.3"), "precision-of-gpu") == [("warning", ("n",))]


@pytest.mark.parametrize(
    ("target", "fix"), [("jetpack-6.0", "use FP32"), ("tensorrt-10.3", "use FP16")]
)
def test_precision_of_gpu_says_what_the_target_takes_instead_of_bf16(
    lint: Lint, target: str, fix: str
) -> None:
    found = [each for each in lint(BRAIN, target, opset=17) if each.severity != "note"]

    assert [(each.rule, each.fix) for each in found] == [("precision-of-gpu", fix)]


@pytest.mark.parametrize(("text", "target"), [(BRAIN, "jetpack-6.2"), (HALF, "tensorrt-10.3")])
def test_precision_of_gpu_allows(lint: Lint, text: str, target: str) -> None:
    assert of_rule(lint(text, target), "precision-of-gpu") == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("jetpack-6.2", [("error", ("q",))], id="orin"),
        pytest.param("jetpack-7.2", [("warning", ("q",))], id="orin-and-thor"),
        pytest.param("jetpack-7.1", [], id="thor"),
    ],
)
def test_precision_of_gpu_finds_fp8(
    lint: Lint, target: str, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    found = lint(PAIR % "float8e4m3fn", target)

    assert of_rule(found, "precision-of-gpu") == expected
    assert of_rule(found, "quantized-types") == []


def test_precision_of_gpu_says_which_gpu(lint: Lint) -> None:
    (found,) = [
        each
        for each in lint(PAIR % "float8e4m3fn", "jetpack-7.2")
        if each.rule == "precision-of-gpu"
    ]

    assert str(found) == "QuantizeLinear `q` is FP8, which Orin cannot compute; quantise to INT8"


@pytest.mark.parametrize(("dtype", "count"), [("uint8", 2), ("int8", 0)])
def test_quantized_types_finds_unsigned(lint: Lint, dtype: str, count: int) -> None:
    found = of_rule(lint(PAIR % dtype, "tensorrt-11"), "quantized-types")

    assert found == [("error", ("q",)), ("error", ("d",))][:count]


def test_quantized_types_are_not_asked_of_onnxruntime(lint: Lint) -> None:
    assert lint(PAIR % "uint8", "onnxruntime") == []


@pytest.mark.parametrize("target", ["jetpack-5.1", "jetpack-6.0"])
def test_strong_typing_refuses_fp16_where_types_are_hints(lint: Lint, target: str) -> None:
    found = of_rule(lint(HALF, target, opset=17), "strong-typing")

    assert found == [("error", ("up",))]


def test_strong_typing_warns_of_pairs_where_types_are_hints(lint: Lint) -> None:
    found = of_rule(lint(PAIR % "int8", "jetpack-6.0", opset=17), "strong-typing")

    assert found == [("warning", ("q", "d"))]


@pytest.mark.parametrize("text", [HALF, PAIR % "int8"], ids=["fp16", "int8"])
def test_strong_typing_is_silent_from_10_on(lint: Lint, text: str) -> None:
    assert of_rule(lint(text, "jetpack-6.2", opset=17), "strong-typing") == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("jetpack-7.2", [("error", ("s",))], id="10.16"),
        pytest.param("tensorrt-11", [("error", ("s",))], id="11"),
        pytest.param("jetpack-7.1", [], id="10.13"),
        pytest.param("jetpack-6.2", [], id="10.3"),
    ],
)
def test_grid_sample_in_half_refuses_fp32_since_10_14(
    lint: Lint, target: str, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert of_rule(lint(SAMPLE_IN_HALF % "map", target), "grid-sample-in-half") == expected


def test_grid_sample_in_half_allows_fp16_map(lint: Lint) -> None:
    text = """
    g (float16[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float16[1, 2, 3, 3] z)
    { half = Relu(x) z = GridSample(half, grid) }
    """

    assert of_rule(lint(text, "tensorrt-11"), "grid-sample-in-half") == []


@pytest.mark.parametrize(
    ("parts", "target", "expected"),
    [
        pytest.param((SCORES, "MatMul(c, v)"), "jetpack-7.2.2", [("note", ("soft",))], id="11.4.1"),
        pytest.param((SCORES, "MatMul(c, v)"), "jetpack-7.2", [], id="10.16"),
        pytest.param((SCORES, "Identity(v)"), "jetpack-7.2.2", [], id="no-product-behind"),
        pytest.param(
            ("Slice(q, zero, four, two)", "MatMul(c, v)"),
            "jetpack-7.2.2",
            [],
            id="no-product-before",
        ),
    ],
)
def test_half_attention_is_noted_from_11_3_on(
    lint: Lint, parts: tuple[str, str], target: str, expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert of_rule(lint(ATTENTION % parts, target), "half-attention") == expected


def test_operator_types_says_what_the_table_has(lint: Lint) -> None:
    text = "g (int32[4] x) => (int32[4] y) { [c] y = Clip(x) }"

    (found,) = [each for each in lint(text, "tensorrt-11") if each.rule == "operator-types"]

    assert str(found) == (
        "Clip `c` is INT32, and 11.1 has it for FP32, FP16, BF16 alone; cast to FLOAT before it"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "g (bool[4] c, int64[4] x) => (int64[4] y) { y = Where(c, x, x) }", id="where"
        ),
        pytest.param("g (int64[1] n) => (float[m] y) { y = ConstantOfShape(n) }", id="constant"),
        pytest.param("g (bool[4] x) => (int64[1] y) { y = Shape(x) }", id="shape"),
        pytest.param("g (int64[4] x) => (int64[4] y) { y = Add(x, x) }", id="int64-as-int32"),
    ],
)
def test_operator_types_looks_at_the_data_alone(lint: Lint, text: str) -> None:
    assert of_rule(lint(text, "jetpack-6.0", opset=17), "operator-types") == []
