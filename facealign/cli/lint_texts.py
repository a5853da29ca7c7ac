"""How the findings of a lint read to people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # onnx comes with it
    from facealign.export.target_lint import Finding, Severity
    from facealign.pipeline.targets import TargetVerdict

__all__ = ["verdict_lines"]

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_WIDTH = len("warning")


def verdict_lines(verdict: TargetVerdict, *, with_notes: bool) -> list[str]:
    """Return the lines of a target: its verdict, and below it what was found.

    What one rule finds at several nodes is one line, of the first of them. So is what it finds in
    several graphs.

    Args:
        verdict: Of one target.
        with_notes: Whether notes are lines too, or only counted.
    """
    lines = [_summary(verdict)]
    for (severity, rule), by_graph in _grouped(verdict).items():
        if severity == "note" and not with_notes:
            continue
        first = next(iter(by_graph.values()))[0]
        graphs = f" in {', '.join(by_graph)}" if len(verdict.findings) > 1 else ""
        more = max(map(len, by_graph.values())) - 1
        others = f" (and {more} more)" if more else ""
        lines.append(
            f"{severity:<{_WIDTH}}  {rule}{graphs}: {first}{others} "
            f"[{first.certainty}: {first.source}]"
        )
    return lines


def _summary(verdict: TargetVerdict) -> str:
    counts = Counter(severity for severity, _ in _grouped(verdict))
    word = "refused" if verdict.is_refused else "ok"
    said = ", ".join(
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in _SEVERITIES
        if counts[severity]
    )
    return f"{word:<{_WIDTH}}  {verdict.target.engine_text}{f': {said}' if said else ''}"


def _grouped(verdict: TargetVerdict) -> dict[tuple[Severity, str], dict[str, list[Finding]]]:
    """Return the findings by severity and rule, and then by graph; errors first."""
    found: dict[tuple[Severity, str], dict[str, list[Finding]]] = {}
    for name, findings in verdict.findings.items():
        for each in findings:
            by_graph = found.setdefault((each.severity, each.rule), {})
            by_graph.setdefault(name, []).append(each)
    return dict(sorted(found.items(), key=lambda item: _SEVERITIES.index(item[0][0])))
