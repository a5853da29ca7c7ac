"""What the lint says, and how a rule of the lint looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import onnx_ir as ir

from facealign.export.tensorrt.values import Problem
from facealign.targets import Certainty, Fact, Target

__all__ = ["Finding", "Severity", "TargetReport", "TargetRule", "finding_from_problem"]

Severity = Literal["error", "warning", "note"]
"""An error is a reason to refuse the graph: the engine would, or its results would be wrong.

A warning is a report of others that was not tested here, or costs speed. A note is to be known.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a target has to say about a graph.

    Attributes:
        severity: How bad it is.
        rule: Name of the rule, such as ``grid-sample-opset``.
        nodes: Names of the nodes, as `node_name` has them; none if it is the file.
        why: What is wrong, in half a sentence.
        fix: What to do about it.
        source: Where it is written.
        certainty: How sure that is.
    """

    severity: Severity
    rule: str
    nodes: tuple[str, ...]
    why: str
    fix: str
    source: str
    certainty: Certainty

    def __str__(self) -> str:
        return f"{self.why}; {self.fix}"


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What one target has to say."""

    target: Target
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Those for which the target refuses the graph."""
        return tuple(each for each in self.findings if each.severity == "error")


TargetRule = Callable[[ir.Model, Target], Iterator[Finding]]


def finding_from_problem(
    problem: Problem, severity: Severity, rule: str, because: Fact[Any]
) -> Finding:
    """Return a finding that rests on a fact."""
    return Finding(
        severity,
        rule,
        problem.nodes,
        problem.why,
        problem.fix,
        because.source,
        because.certainty,
    )
