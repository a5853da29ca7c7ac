from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.check_typed import check_typed
from facealign.export.passes.precision.every_rounding import with_every_rounding
from facealign.export.passes.precision.ranges import audit_ranges
from facealign.runtime.ort_engine import run_graph

Parse = Callable[[str], ir.Model]
Run = Callable[..., dict[str, NDArray[np.float32]]]
SCALED = """
g (uint8[B, 8] image) => (float[B, 2] y)
<float[8, 8] w, float scale = {%s}, float back = {%s}, float[8, 2] head>
{
  x = Cast<to = 1>(image)
  a = MatMul(x, w)
  scaled = Mul(a, scale)
  turned = Neg(scaled)
  back_again = Mul(turned, back)
  y = MatMul(back_again, head)
}
"""
LARGE = SCALED % ("1000.0", "0.001")
SMALL = SCALED % ("0.0001", "1000.0")


@pytest.fixture
def rows(rng: np.random.Generator) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (9, 8), dtype=np.uint8)


def test_audit_finds_nothing_in_a_tame_network(network: ir.Model, crops: NDArray[np.uint8]) -> None:
    assert audit_ranges(network, crops, run=run_graph) == ()


@pytest.mark.parametrize(
    ("text", "darker", "reason"),
    [pytest.param(LARGE, 1, "large", id="large"), pytest.param(SMALL, 128, "small", id="small")],
)
def test_audit_names_values_outside_half(
    filled: Parse, rows: NDArray[np.uint8], text: str, darker: int, reason: str
) -> None:
    findings = audit_ranges(filled(text), rows // darker, run=run_graph)

    assert [(each.value, each.operator, each.reason) for each in findings] == [
        ("scaled", "Mul", reason),
        ("turned", "Neg", reason),
    ]


def test_audit_measures_largest_magnitude(filled: Parse, rows: NDArray[np.uint8]) -> None:
    model = filled(LARGE)
    weights = model.graph.initializers["w"].const_value
    assert weights is not None
    largest = np.abs(rows.astype(np.float32) @ weights.numpy()).max() * 1000

    findings = audit_ranges(model, rows, run=run_graph)

    assert findings[0].amount == pytest.approx(float(largest), rel=1e-5)


def test_values_that_audit_found_are_full_and_finite(
    filled: Parse, rows: NDArray[np.uint8], run: Run
) -> None:
    model = filled(LARGE)
    findings = audit_ranges(model, rows, run=run_graph)

    typed = half_precision(model, keep=[finding.value for finding in findings])

    check_typed(typed)
    with_islands = run(with_every_rounding(typed), {"image": rows})["y"]
    without = run(with_every_rounding(half_precision(model)), {"image": rows})["y"]
    assert np.isfinite(with_islands).all()
    assert not np.isfinite(without).all()


def test_audit_leaves_room_above_what_crops_show(filled: Parse, rows: NDArray[np.uint8]) -> None:
    text = SCALED % ("50.0", "0.02")

    assert audit_ranges(filled(text), rows, run=run_graph, headroom=1) == ()
    assert audit_ranges(filled(text), rows, run=run_graph, headroom=20) != ()


@pytest.mark.parametrize(
    ("largest", "is_found"), [(16376.0, True), (16375.0, False)], ids=["at-a-quarter", "below"]
)
def test_audit_finds_what_reaches_a_quarter_of_the_largest_number(
    filled: Parse, largest: float, is_found: bool
) -> None:
    def run_to(
        _: bytes, crops: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        return {name: np.full((len(crops), 8), largest, np.float32) for name in names}

    findings = audit_ranges(filled(LARGE), np.zeros((1, 8), np.uint8), run=run_to)

    assert bool(findings) == is_found


def test_audit_remembers_the_batch_that_lost_most(filled: Parse) -> None:
    def run_small_then_large(
        _: bytes, crops: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        number = 1e-7 if len(crops) == 4 else 1.0
        return {name: np.full((len(crops), 8), number, np.float32) for name in names}

    findings = audit_ranges(filled(LARGE), np.zeros((5, 8), np.uint8), run=run_small_then_large)

    assert {each.reason for each in findings} == {"small"}


def test_audit_names_constants_first(filled: Parse, rows: NDArray[np.uint8]) -> None:
    findings = audit_ranges(filled(SCALED % ("1e6", "1e-6")), rows, run=run_graph)

    assert [each.value for each in findings] == ["scale", "back", "scaled", "turned"]


def test_audit_takes_values_that_are_not_finite_for_large(filled: Parse) -> None:
    def run_nan(
        _: bytes, crops: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        return {name: np.full((len(crops), 8), np.nan, np.float32) for name in names}

    findings = audit_ranges(filled(LARGE), np.zeros((1, 8), np.uint8), run=run_nan)

    assert {(each.reason, each.amount) for each in findings} == {("large", np.inf)}


def test_audit_asks_for_few_values_at_a_time(filled: Parse, rows: NDArray[np.uint8]) -> None:
    asked: list[tuple[int, list[str]]] = []

    def run_and_note(
        graph: bytes, crops: NDArray[np.uint8], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        asked.append((len(crops), list(names)))
        return run_graph(graph, crops, names)

    audit_ranges(filled(LARGE), rows, run=run_and_note, chunk_bytes=4 * 4 * 8 * 2)

    assert [count for count, _ in asked] == [4, 4, 1] * 3
    assert max(len(names) for _, names in asked) == 2
