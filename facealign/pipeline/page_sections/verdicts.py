"""One look at each precision: whether it ships, what it costs, and whether it pays here."""

from __future__ import annotations

from typing import Literal

from facealign.bench.result import BenchResult, Candidate, CandidateResult, Ratio
from facealign.bundle import GraphEntry, Manifest, VerdictEntry
from facealign.pipeline.evaluation_result import REFERENCE
from facealign.pipeline.page_sections.order import reference_first
from facealign.pipeline.page_sections.searches import Search, Searches, Trial
from facealign.report.page import Cell, Verdict
from facealign.report.page.numbers import NONE, interval, points, short, times

__all__ = ["VERDICT_NOTE", "verdicts"]

VERDICT_NOTE = (
    "Ships: on held-out faces its landmarks stay within the limits that it was compiled with. "
    "Pays: on the engine that is fastest for it here, at the smallest batch, the 95 % interval of "
    "its speed is above that of FP32. What does not pay here may pay on the engine it is made for."
)
_State = Literal["good", "slow", "bad", "plain"]


def verdicts(
    result: BenchResult, manifest: Manifest, searches: Searches | None
) -> tuple[Verdict, ...]:
    """Return one verdict for each graph of the bundle, then for each precision that was refused."""
    graphs = (_of_graph(result, name, graph) for name, graph in reference_first(manifest.graphs))
    if searches is None:
        return tuple(graphs)
    kind = "drift" if searches.nme_fp32_percent is None else "NME"
    refused = (
        _of_refused(name, search, kind)
        for name, search in searches.precisions.items()
        if name not in manifest.graphs and search.trials
    )
    return (*graphs, *refused)


def _of_graph(result: BenchResult, name: str, graph: GraphEntry) -> Verdict:
    fastest = _fastest(result, name)
    ratio = None if fastest is None or name == REFERENCE else _ratio(result, fastest.candidate)
    state, symbol, word = _judged(result, name, ratio)
    facts = {} if graph.verdict is None else _costs(graph.verdict)
    if name == REFERENCE:
        facts["PyTorch"] = Cell(f"{short(graph.parity.max_px)} px", "largest distance")
    if ratio is not None and not result.state.flags:
        low_high = interval(short(ratio.low), short(ratio.high))
        facts["speed here"] = Cell(f"{times(ratio.times_as_fast)} {ratio.baseline}", low_high)
    if fastest is not None:
        batch, engine = fastest.candidate.batch, fastest.candidate.engine
        facts["p50 here"] = Cell(f"{short(fastest.forward.p50_ms)} ms", f"{engine}, batch {batch}")
    facts["made for"] = Cell(graph.purpose)
    return Verdict(name, state, symbol, word, facts)


def _judged(result: BenchResult, name: str, ratio: Ratio | None) -> tuple[_State, str, str]:
    if name == REFERENCE:
        return "plain", "=", "the reference"
    if result.state.flags:
        return "plain", "?", "ships; speed not judged, as this run is not to be trusted"
    if ratio is None:
        return "plain", NONE, "ships; not timed here"
    if ratio.low > 1:
        return "good", "✓", "ships, and pays here"
    if ratio.high < 1:
        return "slow", "↓", "ships, but does not pay here"
    return "plain", "~", "ships; no gain shown here"


def _of_refused(name: str, search: Search, kind: str) -> Verdict:
    last = search.trials[-1]
    facts = {
        "to FP32": Cell(f"{short(last.p99_px)} px", f"p99; largest {short(last.max_px)}"),
        kind: Cell(
            f"{points(last.change_points)} points", interval(*map(points, last.change_interval))
        ),
        "share": Cell(f"{100 * last.share:.0f} %", "of the work"),
    }
    if _is_within(last, search):
        speed = last.onnxruntime_times_as_fast_as_fp32
        if speed is not None:
            facts["speed"] = Cell(f"{times(speed)} {REFERENCE}", "when it was compiled")
        return Verdict(name, "slow", "↓", "left out: it did not pay when it was compiled", facts)
    return Verdict(name, "bad", "✗", "refused: it costs more than it may", facts)


def _is_within(trial: Trial, search: Search) -> bool:
    limits = search.limits
    return (limits.p99_px is None or trial.p99_px <= limits.p99_px) and (
        limits.change_points is None or trial.change_points <= limits.change_points
    )


def _costs(verdict: VerdictEntry) -> dict[str, Cell]:
    kind = "drift" if verdict.nme_percent is None else "NME"
    bar = "" if verdict.bar_px is None else f"; bar {verdict.bar_px:g}"
    budget = "" if verdict.budget_points is None else f"; budget {verdict.budget_points:g}"
    low, high = points(verdict.change_low_points), points(verdict.change_high_points)
    return {
        "to FP32": Cell(
            f"{short(verdict.p99_px)} px", f"p99; largest {short(verdict.max_px)}{bar}"
        ),
        kind: Cell(f"{points(verdict.change_points)} points", f"{interval(low, high)}{budget}"),
        "share": Cell(f"{100 * verdict.share:.0f} %", "of the work"),
    }


def _ratio(result: BenchResult, candidate: Candidate) -> Ratio | None:
    """Return how fast a candidate is beside FP32: on the same engine if that was measured too."""
    engines = {
        each.candidate.name: each.candidate.engine
        for each in result.candidates
        if each.candidate.precision == REFERENCE
    }
    both_ways = [turned for each in result.ratios for turned in (each, _turned(each))]
    found = [
        each
        for each in both_ways
        if (each.name, each.batch) == (candidate.name, candidate.batch) and each.baseline in engines
    ]
    found.sort(key=lambda each: engines[each.baseline] != candidate.engine)
    return found[0] if found else None


def _turned(ratio: Ratio) -> Ratio:
    return Ratio(
        name=ratio.baseline,
        baseline=ratio.name,
        batch=ratio.batch,
        times_as_fast=1 / ratio.times_as_fast,
        low=1 / ratio.high,
        high=1 / ratio.low,
    )


def _fastest(result: BenchResult, precision: str) -> CandidateResult | None:
    """Return the fastest engine of a precision at the smallest batch."""
    own = [each for each in result.candidates if each.candidate.precision == precision]
    if not own:
        return None
    return min(own, key=lambda each: (each.candidate.batch, each.forward.p50_ms))
