"""Graph x target -> findings: what a target refuses or gets wrong, and the way out."""

from __future__ import annotations

from facealign.export.target_lint.finding import Finding, Severity, TargetReport
from facealign.export.target_lint.lint import lint_graph

__all__ = ["Finding", "Severity", "TargetReport", "lint_graph"]
