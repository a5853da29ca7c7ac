from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.graph import bytes_from_graph, node_counts
from facealign.export.lint import contract_problems
from facealign.export.passes.quantize import quantize
from facealign.export.tensorrt.rules import rule_problems
from facealign.pipeline.judge import HeldOut, Judge, open_judge
from facealign.pipeline.reduce import (
    HALF_BAR_PX,
    HALF_BUDGET_POINTS,
    LEAST_INT8_SHARE,
    reduce_to_half,
    reduce_to_int8,
)
from facealign.pipeline.reduction import Limits, Reduction
from facealign.pipeline.run_crops import graph_runner
from facealign.runtime.ort_engine import run_graph
from facealign.spec import WFLW98, contract_input, contract_outputs
from tests.unit.pipeline.small_network import SIZE_PX, Told, crops_for, judge_of, network, ranges_of

Ranges = Mapping[str, float]
BUDGETS = (-1.0, 0.0, 0.002, 0.05, 20.0)
CONTRACT = (contract_input(SIZE_PX), contract_outputs(WFLW98.landmark_count))


def half_of(graph: ir.Model, judge: Judge) -> Reduction:
    return reduce_to_half(graph, judge, hard_crops=crops_for(4, seed=1), stage=Told())


def int8_of(graph: ir.Model, ranges: Ranges, judge: Judge, budget: float) -> Reduction:
    return reduce_to_int8(graph, ranges, judge, budget_points=budget, stage=Told())


def has_half(graph: ir.Model) -> bool:
    return any(value.dtype == ir.DataType.FLOAT16 for node in graph.graph for value in node.outputs)


@pytest.fixture(scope="module")
def made(small: ir.Model, small_ranges: Ranges, small_judge: Judge) -> Callable[[str], Reduction]:
    """Return what gives FP16, INT8, and INT8 within FP16, each made once."""
    half = half_of(small, small_judge)
    found = {
        "fp16": half,
        "int8": int8_of(small, small_ranges, small_judge, 1.0),
        "int8-in-fp16": int8_of(half.shipped, small_ranges, small_judge, 1.0),
    }
    return found.__getitem__


PRECISIONS = pytest.mark.parametrize("name", ["fp16", "int8", "int8-in-fp16"])


@PRECISIONS
def test_reduced_graph_keeps_contract_standard_and_rules(
    made: Callable[[str], Reduction], name: str
) -> None:
    reduction = made(name)
    graph = reduction.shipped

    onnx.checker.check_model(onnx.load_from_string(bytes_from_graph(graph)), full_check=True)
    assert contract_problems(graph, *CONTRACT, precision=reduction.precision) == []
    assert rule_problems(graph) == []


@PRECISIONS
def test_reduced_graph_runs_near_fp32(
    made: Callable[[str], Reduction], name: str, small: ir.Model
) -> None:
    crops = crops_for(5, seed=9)

    found = run_graph(bytes_from_graph(made(name).shipped), crops)["landmarks"]

    expected = run_graph(bytes_from_graph(small), crops)["landmarks"]
    off_px = np.abs(found - expected).max() * SIZE_PX
    assert 0 < off_px < HALF_BAR_PX


def test_reduced_graphs_are_what_their_names_say(made: Callable[[str], Reduction]) -> None:
    counts = {name: node_counts(made(name).shipped) for name in ("fp16", "int8", "int8-in-fp16")}
    halves = {name: has_half(made(name).shipped) for name in counts}

    assert [counts[name].get("QuantizeLinear", 0) > 0 for name in counts] == [False, True, True]
    assert halves == {"fp16": True, "int8": False, "int8-in-fp16": True}


def test_int8_within_fp16_is_int8_in_the_same_products(made: Callable[[str], Reduction]) -> None:
    inner, outer = made("int8-in-fp16"), made("int8")

    assert inner.blocks == outer.blocks
    assert inner.chosen.left == outer.chosen.left == ()


@PRECISIONS
def test_reduction_gives_the_same_bytes_twice(
    made: Callable[[str], Reduction],
    name: str,
    small: ir.Model,
    small_ranges: Ranges,
    small_judge: Judge,
) -> None:
    again = {
        "fp16": lambda: half_of(small, small_judge),
        "int8": lambda: int8_of(small, small_ranges, small_judge, 1.0),
        "int8-in-fp16": lambda: int8_of(made("fp16").shipped, small_ranges, small_judge, 1.0),
    }[name]()

    assert bytes_from_graph(again.shipped) == bytes_from_graph(made(name).shipped)
    assert again.search == made(name).search


def test_reduction_leaves_the_fp32_graph_as_it_was(
    small: ir.Model, small_ranges: Ranges, small_judge: Judge
) -> None:
    before = bytes_from_graph(small)

    half_of(small, small_judge)
    int8_of(small, small_ranges, small_judge, 0.0)

    assert bytes_from_graph(small) == before


def test_half_keeps_in_fp32_what_fp16_cannot_hold() -> None:
    graph = network(outlier=1e5)

    reduction = half_of(graph, judge_of(graph))

    crops = crops_for(4, seed=1)
    values = [value for node in reduction.shipped.graph for value in node.outputs]
    types = {value.name: value.dtype for value in values}
    assert "r1" in reduction.kept
    assert types["r1"] == ir.DataType.FLOAT
    assert np.isfinite(run_graph(bytes_from_graph(reduction.shipped), crops)["landmarks"]).all()


def test_int8_goes_into_an_fp16_graph_that_kept_values_in_fp32() -> None:
    graph = network(outlier=1e5)
    judge = judge_of(graph)
    half = half_of(graph, judge)
    assert half.kept

    reduction = int8_of(half.shipped, ranges_of(graph), judge, 99)

    found = reduction.shipped
    assert reduction.chosen.left == ()
    assert contract_problems(found, *CONTRACT, precision="int8") == []
    assert rule_problems(found) == []
    onnx.checker.check_model(ir.to_proto(found), full_check=True)


def test_half_without_annotations_has_a_bar_and_no_budget(small: ir.Model) -> None:
    labelled = half_of(small, judge_of(small))
    blind = half_of(small, judge_of(small, has_truth=False))

    assert labelled.limits == Limits(HALF_BAR_PX, HALF_BUDGET_POINTS)
    assert blind.limits == Limits(HALF_BAR_PX, None)
    assert blind.chosen.left == ()


def test_half_is_refused_when_its_bar_cannot_be_kept(
    small: ir.Model, small_judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facealign.pipeline.reduce.HALF_BAR_PX", 0.0)

    reduction = half_of(small, small_judge)

    assert (reduction.graph, reduction.search.chosen) == (None, None)
    with pytest.raises(ValueError, match="fp16 was refused"):
        _ = reduction.shipped
    with pytest.raises(ValueError, match="fp16 was refused"):
        _ = reduction.chosen


def test_int8_leaves_the_hostile_block_first(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge
) -> None:
    reduction = int8_of(hostile, hostile_ranges, hostile_judge, 0.1)

    everything, chosen = (reduction.judgements[trial.left] for trial in reduction.search.trials)
    assert reduction.chosen.left == ("block-01",)
    assert reduction.nodes_of(reduction.chosen.left) == ("c2",)
    assert everything.change_points > 1
    assert chosen.change_points <= 0.1


def test_int8_leaves_the_block_whose_range_is_far_too_small(
    small: ir.Model, small_ranges: Ranges, small_judge: Judge
) -> None:
    spoilt = {**small_ranges, "r1": small_ranges["r1"] / 1000}

    reduction = int8_of(small, spoilt, small_judge, 0.1)

    assert reduction.chosen.left == ("block-01",)


def test_int8_is_refused_when_every_range_is_far_too_small(
    small: ir.Model, small_ranges: Ranges, small_judge: Judge
) -> None:
    spoilt = {name: amax / 1000 for name, amax in small_ranges.items()}

    reduction = int8_of(small, spoilt, small_judge, 0.1)

    assert reduction.graph is None
    assert min(trial.share for trial in reduction.search.trials) >= LEAST_INT8_SHARE


@pytest.mark.parametrize("budget", BUDGETS)
def test_int8_keeps_its_budget(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge, budget: float
) -> None:
    reduction = int8_of(hostile, hostile_ranges, hostile_judge, budget)

    changes = [reduction.judgements[trial.left].change_points for trial in reduction.search.trials]
    chosen = [] if reduction.search.chosen is None else [reduction.search.trials[-1]]
    assert [
        trial
        for trial, change in zip(reduction.search.trials, changes, strict=True)
        if change <= budget
    ] == chosen


def test_int8_share_is_monotone_in_the_budget(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge
) -> None:
    found = [int8_of(hostile, hostile_ranges, hostile_judge, budget) for budget in BUDGETS]

    shares = [each.search.chosen.share if each.search.chosen else 0.0 for each in found]
    assert shares == sorted(shares)
    assert len(set(shares)) == 3  # none, all but one block, everything


def test_int8_that_is_better_than_fp32_needs_no_budget(
    small: ir.Model, small_ranges: Ranges, small_judge: Judge
) -> None:
    quantized = graph_runner(bytes_from_graph(quantize(small, small_ranges)), integer_kernels=False)
    crops = small_judge.held_out.crops
    truth_px = quantized(crops).astype(np.float64) * SIZE_PX
    held_out = HeldOut("what INT8 finds", "box", crops, truth_px)
    judge = open_judge(held_out, graph_runner(bytes_from_graph(small)), scheme=WFLW98)

    reduction = int8_of(small, small_ranges, judge, 0.0)

    assert reduction.chosen.left == ()
    assert reduction.judgements[()].change_points < 0


def test_int8_without_annotations_is_judged_by_its_drift(
    small: ir.Model, small_ranges: Ranges
) -> None:
    reduction = int8_of(small, small_ranges, judge_of(small, has_truth=False), 0.5)

    found = reduction.judgements[reduction.chosen.left]
    assert 0 < found.change_points == pytest.approx(found.drift_percent)
    assert found.nme_percent is None


def test_search_advances_its_stage_within_its_total(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge
) -> None:
    told = Told()

    reduction = reduce_to_int8(hostile, hostile_ranges, hostile_judge, budget_points=-1, stage=told)

    measured = len(reduction.judgements) + len(reduction.search.alone)
    assert told.done == measured <= max(told.totals)
    assert told.totals == {2 * len(reduction.blocks)}
