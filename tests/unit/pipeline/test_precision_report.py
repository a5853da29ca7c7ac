from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx_ir as ir
import pytest

from facealign.calibration import Search
from facealign.pipeline.judge import Judge
from facealign.pipeline.precision_report import json_from_reductions, refusal, trial_lines
from facealign.pipeline.reduce import reduce_to_half, reduce_to_int8
from facealign.pipeline.reduction import Reduction
from tests.unit.pipeline.small_network import Told, crops_for, judge_of

Ranges = Mapping[str, float]
ALL, ALL_BUT_ONE = (), ("block-01",)
COST = r"p99 \d\.\d{3} px, NME [+-]\d+\.\d{3} points \([+-]\d+\.\d{3} to [+-]\d+\.\d{3}, budget "


@pytest.fixture(scope="module")
def refused(hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge) -> Reduction:
    """Return INT8 that nothing fits, with made-up speeds."""
    found = reduce_to_int8(hostile, hostile_ranges, hostile_judge, budget_points=-9, stage=Told())
    return replace(found, speeds={ALL: 1.5, ALL_BUT_ONE: 1.25})


@pytest.fixture(scope="module")
def half(small: ir.Model, small_judge: Judge) -> Reduction:
    return reduce_to_half(small, small_judge, hard_crops=crops_for(2), stage=Told())


def report_of(judge: Judge, *reductions: Reduction) -> dict[str, Any]:
    return dict(json.loads(json_from_reductions(judge, reductions)))


def test_trial_lines_are_the_table_of_share_cost_and_speed(refused: Reduction) -> None:
    first, second = trial_lines(refused)

    assert re.fullmatch(
        rf"93 % of the work: {COST}-9\), 1\.50 times as fast as FP32 in ONNX Runtime", first
    )
    assert re.fullmatch(
        rf"62 % of the work, 1 of 3 blocks left: {COST}-9\), 1\.25 times as fast .* Runtime", second
    )


def test_trial_lines_of_half_state_its_bar_and_no_speed(half: Reduction) -> None:
    (line,) = trial_lines(half)

    assert re.fullmatch(
        r"93 % of the work: p99 \d\.\d{3} px \(bar 0\.1\), NME .*, budget 0\.01\)", line
    )


def test_trial_lines_call_it_drift_without_annotations(
    small: ir.Model, small_ranges: Ranges
) -> None:
    judge = judge_of(small, has_truth=False)

    found = reduce_to_int8(small, small_ranges, judge, budget_points=0.5, stage=Told())

    assert re.search(r"px, drift \+\d\.\d{3} points .*, budget 0\.5\)$", trial_lines(found)[0])


def test_trial_lines_of_half_without_annotations_have_no_budget(small: ir.Model) -> None:
    judge = judge_of(small, has_truth=False)

    found = reduce_to_half(small, judge, hard_crops=crops_for(2), stage=Told())

    assert re.fullmatch(r"93 % of the work: p99 \d\.\d{3} px \(bar 0\.1\)", trial_lines(found)[0])


def test_refusal_names_the_blocks_and_the_way_out(refused: Reduction) -> None:
    text = refusal(refused)

    assert text.startswith("INT8 is refused: even with 62 % of the work reduced it costs p99 ")
    assert "most sensitive: block-01 (`c2`), block-02 (`c3`), block-00 (`c1`); " in text
    assert text.endswith("leave int8 out of `--precision`, or allow more with `--budget-nme`")
    assert "\n" not in text


def test_refusal_names_few_blocks_and_how_many_products_they_have(refused: Reduction) -> None:
    larger = tuple(replace(block, nodes=(*block.nodes, "a", "b")) for block in refused.blocks)

    text = refusal(replace(refused, blocks=larger))

    assert "block-01 (`c2` and 2 more), " in text


def test_refusal_of_half_does_not_offer_a_budget_that_it_has_not(half: Reduction) -> None:
    text = refusal(half)

    assert text.endswith("leave fp16 out of `--precision`")


def test_refusal_says_when_there_was_nothing_to_gain(refused: Reduction) -> None:
    nothing = replace(refused, search=Search(None, ()))

    assert refusal(nothing) == "INT8 has nothing to gain: too little of the graph can be reduced"


def test_report_has_every_trial_with_its_speed(refused: Reduction, hostile_judge: Judge) -> None:
    facts = report_of(hostile_judge, refused)["precisions"]["int8"]

    rows = [(row["left"], row["onnxruntime_times_as_fast_as_fp32"]) for row in facts["trials"]]
    assert rows == [([], 1.5), (["block-01"], 1.25)]
    assert [row["share"] for row in facts["trials"]] == pytest.approx([0.936, 0.624], abs=0.01)
    assert [set(row["subset_change_points"]) for row in facts["trials"]] == [{"pose", "blur"}] * 2
    assert (facts["may_ship"], facts["limits"]) == (False, {"p99_px": None, "change_points": -9})


def test_report_has_every_block_with_its_drift(refused: Reduction, hostile_judge: Judge) -> None:
    blocks = report_of(hostile_judge, refused)["precisions"]["int8"]["blocks"]

    drifts = {name: block["alone"]["drift_percent"] for name, block in blocks.items()}
    assert all(block["alone"]["p99_px"] > 0 for block in blocks.values())
    assert list(blocks) == ["block-00", "block-01", "block-02"]
    assert max(drifts, key=drifts.__getitem__) == "block-01"
    assert blocks["block-01"]["nodes"] == ["c2"]


def test_report_of_what_fits_at_once_has_no_drift_of_blocks(
    half: Reduction, small_judge: Judge
) -> None:
    facts = report_of(small_judge, half)["precisions"]["fp16"]

    assert facts["may_ship"]
    assert {block["alone"] for block in facts["blocks"].values()} == {None}
    assert [row["onnxruntime_times_as_fast_as_fp32"] for row in facts["trials"]] == [None]


def test_report_says_what_it_was_judged_by(half: Reduction, small_judge: Judge) -> None:
    report = report_of(small_judge, half)

    expected = {"faces": "made up", "crops_from": "box", "face_count": 20}
    assert {name: report[name] for name in expected} == expected
    assert report["normalisation"] == "corners"
    assert report["nme_fp32_percent"] == small_judge.nme_fp32_percent
    assert report["subset_sizes"] == {"pose": 3, "blur": 1}
