"""INT64 and UINT8 on the releases that lack them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.target_lint import Finding

Lint = Callable[..., list[Finding]]
INTERFACE = "g (int64[4] x) => (float[4] y) { y = Cast<to = 1>(x) }"
LARGE = """
g (float[4] x) => (float[4] y) <int64[1] big = {%d}>
{ i = Cast<to = 7>(x) [a] j = Add(i, big) y = Cast<to = 1>(j) }
"""
ENDS = """
g (float[4] x) => (float[n] y) <int64[1] one = {1}, int64[1] big = {9223372036854775807}>
{ [s] y = Slice(x, one, big) }
"""
STARTS = """
g (float[4] x) => (float[n] y) <int64[1] big = {9223372036854775807}, int64[1] one = {1},
 int64[1] axis = {0}, int64[1] back = {-1}> { [s] y = Slice(x, big, one, axis, back) }
"""
IMAGE = "g (uint8[4] image) => (float[4] y) { [up] y = Cast<to = 1>(image) }"


def texts(found: list[Finding], rule: str) -> list[str]:
    return [each.why for each in found if each.rule == rule]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (INTERFACE, ["`x` is INT64, which TensorRT 8.6.2 turns to INT32"]),
        (
            LARGE % 2**31,
            ["Add `a` has INT64 numbers beyond INT32, and TensorRT 8.6.2 clamps them"],
        ),
        (LARGE % (2**31 - 1), []),
        (ENDS, []),
        (STARTS, []),
    ],
    ids=["interface", "too-large", "largest", "ends-of-slice", "starts-of-slice"],
)
def test_int64_range_warns_before_9(lint: Lint, text: str, expected: list[str]) -> None:
    assert texts(lint(text, "jetpack-6.0", opset=17), "int64-range") == expected


@pytest.mark.parametrize("text", [INTERFACE, LARGE % 2**31], ids=["interface", "too-large"])
def test_int64_range_is_silent_from_9_on(lint: Lint, text: str) -> None:
    assert texts(lint(text, "jetpack-6.2", opset=17), "int64-range") == []


def test_uint8_input_warns_where_sources_disagree(lint: Lint) -> None:
    (found,) = [each for each in lint(IMAGE, "jetpack-5.1", opset=17) if each.rule == "uint8-input"]

    assert (found.severity, found.nodes) == ("warning", ("up",))
    assert found.why.startswith("input `image` is UINT8, which the row of Cast in 8.5 has not")


def test_uint8_input_is_taken_from_8_6_on(lint: Lint) -> None:
    assert texts(lint(IMAGE, "jetpack-6.0", opset=17), "uint8-input") == []
