"""What whoever builds an engine is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.target_lint import Finding

Lint = Callable[..., list[Finding]]
TEXT = "g (float[%s, 2] x) => (float[%s, 2] y) { y = Relu(x) }"
FEWER = "the DLA of %s reads fewer operators and types than these tables, which are of the GPU"
DYNAMIC, STATIC = TEXT % ("B", "B"), TEXT % ("1", "1")


@pytest.mark.parametrize(
    ("text", "target", "count"),
    [(DYNAMIC, "jetpack-6.2", 1), (STATIC, "jetpack-6.2", 0), (DYNAMIC, "jetpack-7.1", 0)],
    ids=["10.3", "static", "10.13"],
)
def test_optimization_profiles_are_noted_before_10_8(
    lint: Lint, text: str, target: str, count: int
) -> None:
    found = [each for each in lint(text, target) if each.rule == "optimization-profiles"]

    assert [each.severity for each in found] == ["note"] * count


@pytest.mark.parametrize(
    ("target", "whys"),
    [
        (
            "jetpack-5.1",
            [FEWER % "Xavier and Orin"],
        ),
        ("jetpack-7.2", ["TensorRT 10.16.2 does not use the DLA that Orin has"]),
        (
            "jetpack-7.2.2",
            [FEWER % "AGX Orin"],
        ),
        ("jetpack-7.1", []),
        ("tensorrt-10.3", []),
    ],
)
def test_deep_learning_accelerator_is_noted_where_there_is_one(
    lint: Lint, target: str, whys: list[str]
) -> None:
    found = [each for each in lint(STATIC, target) if each.rule == "deep-learning-accelerator"]

    assert [each.why for each in found] == whys
