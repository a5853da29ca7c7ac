from __future__ import annotations

import msgspec
import pytest

from facealign.bench.result import BenchResult, Ratio
from facealign.bundle import Manifest, VerdictEntry
from facealign.pipeline.page_sections.searches import Searches
from facealign.pipeline.page_sections.verdicts import verdicts
from facealign.report.page import Cell, Verdict
from tests.unit.report_data import bench_result

RESULT = bench_result()
SHIPS = VerdictEntry(
    faces="wflw test",
    crops_from="box",
    face_count=80,
    p99_px=2.6,
    max_px=7.0,
    drift_percent=0.5,
    nme_fp32_percent=5.731,
    nme_percent=5.761,
    change_points=0.0304,
    change_low_points=-0.001,
    change_high_points=0.0818,
    budget_points=0.1,
    share=0.908,
)


def ratio(times: float, low: float, high: float, *, turned: bool = False) -> Ratio:
    names = ("onnxruntime int8", "onnxruntime fp32")
    name, baseline = names[::-1] if turned else names
    return Ratio(name=name, baseline=baseline, batch=1, times_as_fast=times, low=low, high=high)


def with_ratios(*ratios: Ratio) -> BenchResult:
    return msgspec.structs.replace(RESULT, ratios=ratios)


def two_graphs(manifest: Manifest) -> Manifest:
    int8 = msgspec.structs.replace(manifest.graphs["fp32"], verdict=SHIPS, purpose="TensorRT")
    return msgspec.structs.replace(manifest, graphs={"int8": int8, **manifest.graphs})


def of_int8(result: BenchResult, manifest: Manifest) -> Verdict:
    return verdicts(result, two_graphs(manifest), None)[1]


@pytest.mark.parametrize(
    ("found", "state", "word"),
    [
        (ratio(1.8, 1.7, 1.9), "good", "ships, and pays here"),
        (ratio(0.8, 0.7, 0.9), "slow", "ships, but does not pay here"),
        (ratio(1.02, 0.98, 1.06), "plain", "ships; no gain shown here"),
        (ratio(0.5, 0.45, 0.55, turned=True), "good", "ships, and pays here"),
    ],
    ids=["faster", "slower", "the_same", "given_the_other_way_round"],
)
def test_verdict_follows_the_whole_interval(
    tiny_manifest: Manifest, found: Ratio, state: str, word: str
) -> None:
    verdict = of_int8(with_ratios(found), tiny_manifest)

    assert (verdict.precision, verdict.state, verdict.word) == ("int8", state, word)


def test_ratio_that_was_given_the_other_way_round_is_turned(tiny_manifest: Manifest) -> None:
    verdict = of_int8(with_ratios(ratio(0.5, 0.4, 0.8, turned=True)), tiny_manifest)

    assert verdict.facts["speed here"] == Cell("2.00\u00d7 onnxruntime fp32", "1.25 to 2.50")


def test_speed_is_beside_fp32_on_the_same_engine_if_that_was_timed(
    tiny_manifest: Manifest,
) -> None:
    own = ratio(1.8, 1.7, 1.9)
    other = msgspec.structs.replace(own, baseline="pytorch fp32", times_as_fast=3.0)

    verdict = of_int8(with_ratios(other, own), tiny_manifest)

    assert verdict.facts["speed here"].text == "1.80\u00d7 onnxruntime fp32"


def test_run_that_is_flagged_judges_no_speed(tiny_manifest: Manifest) -> None:
    slower = with_ratios(ratio(0.5, 0.4, 0.6))
    state = msgspec.structs.replace(RESULT.state, flags=("Busy.",))

    verdict = of_int8(msgspec.structs.replace(slower, state=state), tiny_manifest)

    assert verdict.state == "plain"
    assert verdict.word == "ships; speed not judged, as this run is not to be trusted"
    assert "speed here" not in verdict.facts


def test_graph_that_was_not_timed_says_so(tiny_manifest: Manifest) -> None:
    verdict = of_int8(msgspec.structs.replace(RESULT, candidates=(), ratios=()), tiny_manifest)

    assert verdict.word == "ships; not timed here"
    assert list(verdict.facts) == ["to FP32", "NME", "share", "made for"]


def test_verdict_shows_what_it_costs(tiny_manifest: Manifest) -> None:
    facts = of_int8(RESULT, tiny_manifest).facts

    assert facts["to FP32"] == Cell("2.60 px", "p99; largest 7.00")
    assert facts["NME"] == Cell("+0.030 points", "-0.001 to +0.082; budget 0.1")
    assert facts["share"] == Cell("91 %", "of the work")
    assert facts["made for"] == Cell("TensorRT")


def test_reference_comes_first_and_is_not_judged(tiny_manifest: Manifest) -> None:
    first = verdicts(RESULT, two_graphs(tiny_manifest), None)[0]

    assert (first.precision, first.state, first.word) == ("fp32", "plain", "the reference")
    assert first.facts["p50 here"].note == "onnxruntime, batch 1"


def searches_of(
    change: float, *, nme_fp32_percent: float | None = 5.7, limit_px: float | None = None
) -> Searches:
    """Return what was tried of a precision that does not ship."""
    trial = {
        "left": [],
        "share": 0.9,
        "p99_px": 3.0,
        "max_px": 9.0,
        "nme_percent": 6.0,
        "change_points": change,
        "change_interval": [change, change],
        "onnxruntime_times_as_fast_as_fp32": 0.9,
    }
    search = {
        "may_ship": False,
        "limits": {"p99_px": limit_px, "change_points": 0.1},
        "trials": [trial],
    }
    facts = {
        "faces": "wflw test",
        "face_count": 80,
        "nme_fp32_percent": nme_fp32_percent,
        "precisions": {"int8-cpu": search},
    }
    return msgspec.convert(facts, Searches)


@pytest.mark.parametrize(
    ("change", "limit_px", "state", "word"),
    [
        (0.3, None, "bad", "refused: it costs more than it may"),
        (0.05, 2.9, "bad", "refused: it costs more than it may"),
        (0.05, 3.0, "slow", "left out: it did not pay when it was compiled"),
        (0.05, None, "slow", "left out: it did not pay when it was compiled"),
    ],
    ids=["change", "distance", "at_the_limit", "no_limit"],
)
def test_precision_that_does_not_ship_says_why(
    tiny_manifest: Manifest, change: float, limit_px: float | None, state: str, word: str
) -> None:
    last = verdicts(RESULT, tiny_manifest, searches_of(change, limit_px=limit_px))[-1]

    assert (last.precision, last.state, last.word) == ("int8-cpu", state, word)


@pytest.mark.parametrize(("nme_fp32_percent", "kind"), [(5.7, "NME"), (None, "drift")])
def test_cost_of_what_does_not_ship_is_named_by_what_was_judged(
    tiny_manifest: Manifest, nme_fp32_percent: float | None, kind: str
) -> None:
    searches = searches_of(0.3, nme_fp32_percent=nme_fp32_percent)

    last = verdicts(RESULT, tiny_manifest, searches)[-1]

    assert last.facts[kind] == Cell("+0.300 points", "+0.300 to +0.300")
