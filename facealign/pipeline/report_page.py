"""The HTML report of a benchmark: what was measured and what the bundle says, on one page."""

from __future__ import annotations

from facealign.bench.result import BenchResult
from facealign.bundle import Bundle
from facealign.pipeline.evaluation_result import Evaluation
from facealign.pipeline.page_sections.accuracy import accuracy_section
from facealign.pipeline.page_sections.environment import (
    again_section,
    environment_section,
    skipped_section,
)
from facealign.pipeline.page_sections.landmarks import landmark_section
from facealign.pipeline.page_sections.latency import fixed_rate_section, latency_section
from facealign.pipeline.page_sections.roofline import roofline_section
from facealign.pipeline.page_sections.searches import Searches, read_searches, search_section
from facealign.pipeline.page_sections.stages import stage_section
from facealign.pipeline.page_sections.verdicts import VERDICT_NOTE, verdicts
from facealign.report.page import PageData, Section, check_page_libraries, page_html

__all__ = ["check_page_libraries", "report_page"]


def report_page(
    result: BenchResult, bundle: Bundle, *, command: str, evaluation: Evaluation | None = None
) -> bytes:
    """Return one HTML file that needs nothing beside it; nothing is written.

    Some crops of the bundle's own face are run in ONNX Runtime, to compare the precisions landmark
    by landmark and stage by stage; where that cannot be done, the page says so.

    Args:
        result: What was measured on the bundle.
        bundle: The same.
        command: The line for a shell that measures it again.
        evaluation: Of the same bundle, if a data set was given.

    Raises:
        MissingLibraryError: If jinja2 or matplotlib is not installed.
        IntegrityError: If the bundle was changed since it was opened.
        InputError: If an image of the data set can no longer be read.
    """
    check_page_libraries()
    searches = read_searches(bundle)
    data = PageData(
        title=result.title,
        subtitle=_subtitle(result, bundle),
        flags=result.state.flags,
        verdicts=verdicts(result, bundle.manifest, searches),
        verdict_note=VERDICT_NOTE,
        sections=(
            latency_section(result),
            fixed_rate_section(result.fixed_rate),
            roofline_section(result),
            *_accuracy_sections(bundle, searches, evaluation),
            environment_section(result, bundle.manifest),
            skipped_section(result.skipped),
            again_section(command),
        ),
    )
    return page_html(data).encode()


def _accuracy_sections(
    bundle: Bundle, searches: Searches | None, evaluation: Evaluation | None
) -> tuple[Section, ...]:
    return (
        landmark_section(bundle, evaluation),
        stage_section(bundle),
        search_section(searches),
        accuracy_section(evaluation),
    )


def _subtitle(result: BenchResult, bundle: Bundle) -> tuple[str, ...]:
    card = bundle.manifest.card
    where = result.machine.get("cpu") or result.machine.get("gpu") or "this machine"
    gpu = result.machine.get("gpu")
    if gpu and gpu != where:
        where = f"{where}, {gpu}"
    made_at = result.made_at.replace("T", " ").removesuffix("Z").removesuffix("+00:00")
    measured = f"Bundle {result.bundle}, measured on {where} at {made_at} (UTC)"
    return (
        f"{card.title}. {card.paper}.",
        f"{measured}, facealign {result.facealign_version}.",
    )
