from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from facealign.export.passes.precision.half_range import (
    LARGEST_LOSS,
    constant_findings,
    loss_below_normals,
)

Parse = Callable[[str], ir.Model]
TEXT = "g (float[2] x) => (float[2] y) <float[2] c = {%s}> { y = Add(x, c) }"


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        pytest.param("1.0, 65520.0", "large", id="rounds-to-infinity"),
        pytest.param("-1e5, 1.0", "large", id="mask"),
        pytest.param("1e-12, 0.0", "small", id="becomes-zero"),
        pytest.param("3.03e-7, 1e-7", "small", id="subnormal"),
    ],
)
def test_constant_findings_name_what_half_cannot_hold(
    model_from_text: Parse, numbers: str, reason: str
) -> None:
    graph = model_from_text(TEXT % numbers).graph

    (finding,) = constant_findings(graph, set(graph))

    assert (finding.value, finding.operator, finding.reason) == ("c", "Add", reason)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param("65504.0, 0.1", id="largest"),
        pytest.param("-1e4, 0.0", id="logit-of-a-missing-edge"),
        pytest.param("1.0, 1e-7", id="small-beside-large"),
        pytest.param("0.0, 0.0", id="zeros"),
        pytest.param("6.2e-5, 7.3e-5", id="smallest-normals"),
    ],
)
def test_constant_findings_pass_what_half_holds(model_from_text: Parse, numbers: str) -> None:
    graph = model_from_text(TEXT % numbers).graph

    assert constant_findings(graph, set(graph)) == ()


def test_constant_findings_look_at_given_nodes_only(model_from_text: Parse) -> None:
    graph = model_from_text(TEXT % "1e6, 0.0").graph

    assert constant_findings(graph, set()) == ()


def test_constant_findings_let_infinity_be(model_from_text: Parse) -> None:
    model = model_from_text(TEXT % "1.0, 2.0")
    endless = ir.tensor(np.array([-np.inf, 1], np.float32))
    model.graph.initializers["c"].const_value = endless

    assert constant_findings(model.graph, set(model.graph)) == ()


def test_finding_says_value_operator_and_size(model_from_text: Parse) -> None:
    graph = model_from_text(TEXT % "1e5, 0.0").graph

    (finding,) = constant_findings(graph, set(graph))

    assert str(finding) == "`c` of Add `y` reaches 1e+05, and FP16 ends at 65504"


def test_finding_says_what_is_lost(model_from_text: Parse) -> None:
    graph = model_from_text(TEXT % "1e-12, 0.0").graph

    (finding,) = constant_findings(graph, set(graph))

    assert str(finding).endswith("loses 100.00% of its norm, being too small for FP16")


@pytest.mark.parametrize(
    ("array", "loss"),
    [
        pytest.param([1e-12], 1.0, id="all"),
        pytest.param([3.0, 4.0], 0.0, id="nothing"),
        pytest.param([0.0], 0.0, id="zero"),
        pytest.param([np.inf, np.nan, 1.0], 0.0, id="not-finite"),
    ],
)
def test_loss_is_a_part_of_the_norm(array: list[float], loss: float) -> None:
    assert loss_below_normals(np.array(array, np.float32)) == pytest.approx(loss)


def test_loss_of_random_subnormals_is_above_bar(rng: np.random.Generator) -> None:
    assert loss_below_normals(rng.normal(0, 1e-6, 1000).astype(np.float32)) > LARGEST_LOSS
