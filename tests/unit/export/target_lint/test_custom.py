"""Who runs a custom operator, by release and by what the file holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from facealign.export.target_lint import Finding
from facealign.targets import discover_targets, targets_from_names

Lint = Callable[..., list[Finding]]
DOMAINS = ', "local": 1'
OURS = ', "facealign": 1'
PATCH_CROP = "g (float[4] x) => (float[4] y) { [call] y = facealign.PatchCrop(x) }"
CALL = """
g (float[4] x) => (float[4] y) {{ [call] y = local.{name}{attribute}(x) }}
{function}
"""
FUNCTION = '<domain: "local", opset_import: ["": {opset}]> Twice (x) => (y) {{ y = Add(x, x) }}'


def call(
    name: str = "Twice", *, opset: int = 17, has_body: bool = True, attribute: str = ""
) -> str:
    function = FUNCTION.format(opset=opset) if has_body else ""
    return CALL.format(name=name, function=function, attribute=attribute)


def of_custom(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.rule == "custom-operators"]


@pytest.mark.parametrize(
    ("target", "severity", "why"),
    [
        ("jetpack-6.0", "error", "has a function body, which TensorRT 8.6.2 ignores: it looks"),
        ("jetpack-6.2", "note", "runs by its function body on TensorRT 10.3.0, never by a plugin"),
        ("jetpack-7.1", "note", "runs by a plugin on TensorRT 10.13.3 if one is registered, else"),
        ("jetpack-7.2", "note", "runs by its function body on TensorRT 10.16.2"),
    ],
)
def test_custom_operators_with_a_body(lint: Lint, target: str, severity: str, why: str) -> None:
    (found,) = of_custom(lint(call(), target, opset=17, domains=DOMAINS))

    assert (found.severity, found.nodes) == (severity, ("call",))
    assert why in found.why


def test_custom_operators_with_a_body_run_in_onnxruntime(lint: Lint) -> None:
    assert lint(call(), "onnxruntime", opset=17, domains=DOMAINS) == []


def test_custom_operators_of_a_namespace_go_to_the_plugin_from_10_15_on(lint: Lint) -> None:
    text = call(attribute='<plugin_namespace = "local">')

    (found,) = of_custom(lint(text, "jetpack-7.2", opset=17, domains=DOMAINS))

    assert "runs by a plugin on TensorRT 10.16.2 if one is registered" in found.why


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("jetpack-6.2", "looks for a plugin 'Twice' by its attribute 'plugin_namespace'"),
        ("jetpack-7.1", "looks for a plugin 'Twice' in namespace 'local' or that of its attribute"),
        ("onnxruntime", "is of domain 'local', which ONNX Runtime does not have"),
    ],
)
def test_custom_operators_without_a_body_are_refused(lint: Lint, target: str, why: str) -> None:
    (found,) = of_custom(lint(call(has_body=False), target, opset=17, domains=DOMAINS))

    assert found.severity == "error"
    assert why in found.why


@pytest.mark.parametrize("target", [each.name for each in discover_targets()])
def test_patch_crop_without_a_body_is_for_targets_that_the_plugin_is_for(
    lint: Lint, target: str
) -> None:
    (of_target,) = targets_from_names([target])
    has_plugin = of_target.engine == "tensorrt" and of_target.oldest >= (10, 3)

    (found,) = of_custom(lint(PATCH_CROP, target, domains=OURS))

    assert (found.severity == "warning") == has_plugin
    assert (found.severity == "error") != has_plugin


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("jetpack-6.2", "runs by facealign's plugin alone, which `facealign build` registers"),
        ("jetpack-6.2", "build with `facealign build`, or export with `--patch-crop function`"),
        ("jetpack-6.0", "plugin for it is for TensorRT from 10.3 on, not for TensorRT 8.6.2"),
        ("jetpack-6.0", "export it with `--patch-crop standard`"),
        ("onnxruntime", "which ONNX Runtime does not have; export it with `--patch-crop function`"),
    ],
)
def test_patch_crop_without_a_body_says_who_runs_it(lint: Lint, target: str, words: str) -> None:
    (found,) = of_custom(lint(PATCH_CROP, target, domains=OURS))

    assert words in str(found)


def test_operators_of_ours_that_have_no_plugin_are_refused_without_a_body(lint: Lint) -> None:
    text = PATCH_CROP.replace("PatchCrop", "SparseGraphConv")

    (found,) = of_custom(lint(text, "jetpack-6.2", domains=OURS))

    assert found.severity == "error"
    assert "looks for a plugin 'SparseGraphConv'" in found.why


@pytest.mark.parametrize("target", ["jetpack-6.0", "jetpack-7.2"])
def test_custom_operators_of_a_standard_name_are_refused(lint: Lint, target: str) -> None:
    (found,) = of_custom(lint(call("GridSample"), target, opset=17, domains=DOMAINS))

    assert found.severity == "error"
    assert "which TensorRT ignores: it takes the built-in GridSample" in found.why


def test_custom_operators_of_microsoft_run_in_onnxruntime_alone(lint: Lint) -> None:
    text = "g (float[4] x) => (float[4] y) { [call] y = com.microsoft.QuickGelu(x) }"
    domains = ', "com.microsoft": 1'

    assert of_custom(lint(text, "onnxruntime", domains=domains)) == []
    assert [each.severity for each in of_custom(lint(text, "tensorrt-11", domains=domains))] == [
        "error"
    ]


def test_rules_look_into_bodies(lint: Lint) -> None:
    text = """
    g (float[1, 2, 4, 4] x, float[1, 3, 3, 2] grid) => (float[1, 2, 3, 3] y)
    { [call] y = local.Crop(x, grid) }
    <domain: "local", opset_import: ["": 20]>
    Crop (x, grid) => (y) { [s] y = GridSample<mode = "linear">(x, grid) }
    """

    found = lint(text, "jetpack-6.2", opset=20, domains=DOMAINS)

    assert "grid-sample-opset" in {each.rule for each in found}


BODY = """
g (float[4] x) => (float[4] y) {{ y = local.Outer(x) }}
<domain: "local", opset_import: ["": 19, "local": 1]>
Outer (x) => (y) {{ [inner] y = {domain}.{name}(x) }}
"""


@pytest.mark.parametrize(
    ("name", "target", "why"),
    [
        pytest.param("Any", "jetpack-6.2", "has no function body, so TensorRT 10.3.0", id="plugin"),
        pytest.param("Any", "onnxruntime", "which ONNX Runtime does not have", id="onnxruntime"),
        pytest.param("Relu", "jetpack-6.2", "it takes the built-in Relu", id="mistaken"),
    ],
)
def test_custom_operators_are_found_in_the_body_of_another(
    lint: Lint, name: str, target: str, why: str
) -> None:
    found = lint(BODY.format(domain="local", name=name), target, domains=DOMAINS)

    (error,) = [each for each in found if each.severity == "error"]
    assert (error.rule, error.nodes) == ("custom-operators", ("inner",))
    assert why in error.why


def test_unused_domains_knows_those_of_bodies(lint: Lint) -> None:
    text = BODY.format(domain="facealign", name="PatchCrop").replace("1]", '1, "facealign": 1]')

    found = lint(text, "tensorrt-11", domains=f'{DOMAINS}, "facealign": 1')

    assert {each.rule for each in found} == {"custom-operators"}


TWINS = """
g (float[4] x) => (float[4] z) { y = local.Twice(x) z = %s.Twice(y) }
<domain: "local", opset_import: ["": 19]> Twice (x) => (y) { y = Add(x, x) }
<domain: "other", opset_import: ["": 19]> Twice (x) => (y) { y = Mul(x, x) }
"""


@pytest.mark.parametrize(("target", "count"), [("tensorrt-11", 1), ("onnxruntime", 0)])
def test_function_names_finds_two_of_one_name(lint: Lint, target: str, count: int) -> None:
    found = lint(TWINS % "other", target, domains=f'{DOMAINS}, "other": 1')

    assert [each.severity for each in found if each.rule == "function-names"] == ["error"] * count


@pytest.mark.parametrize(
    ("domains", "target", "count"),
    [(', "ai.onnx.ml": 3', "tensorrt-11", 1), (', "ai.onnx.ml": 3', "ort", 0), ("", "ort", 0)],
)
def test_unused_domains_warns(lint: Lint, domains: str, target: str, count: int) -> None:
    text = "g (float[4] x) => (float[4] y) { y = Relu(x) }"

    found = [each for each in lint(text, target, domains=domains) if each.rule == "unused-domains"]

    assert [each.severity for each in found] == ["warning"] * count
