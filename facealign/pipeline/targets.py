"""The graphs of a bundle against the targets that they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from facealign.errors import TargetError
from facealign.export.target_lint import Finding, lint_graph
from facealign.targets import Target

__all__ = ["TargetVerdict", "check_targets", "judge_targets", "refusal_lines"]

# The others are for any engine. UINT8 activations are ONNX Runtime's alone.
_ENGINES = {"int8-cpu": ("onnxruntime",)}


@dataclass(frozen=True, slots=True)
class TargetVerdict:
    """What a target has to say about some graphs.

    Attributes:
        target: Which one.
        findings: By the name of the graph, the worst first; graphs for other engines are not here.
    """

    target: Target
    findings: Mapping[str, tuple[Finding, ...]]

    @property
    def is_refused(self) -> bool:
        """Whether there is an error among the findings."""
        return any(each.severity == "error" for found in self.findings.values() for each in found)


def judge_targets(
    graphs: Mapping[str, ir.Model], targets: Sequence[Target]
) -> tuple[TargetVerdict, ...]:
    """Return what each target has to say, in order.

    Args:
        graphs: By name; a name of `Precision` is of the graph that the pipeline makes, any other
            is for any engine.
        targets: Whom to ask.
    """
    found: dict[str, dict[str, tuple[Finding, ...]]] = {target.name: {} for target in targets}
    for name, graph in graphs.items():
        asked = [each for each in targets if each.engine in _ENGINES.get(name, (each.engine,))]
        for report in lint_graph(graph, asked):
            found[report.target.name][name] = report.findings
    return tuple(TargetVerdict(target, found[target.name]) for target in targets)


def check_targets(graphs: Mapping[str, ir.Model], targets: Sequence[Target]) -> None:
    """Refuse graphs that a target cannot take.

    Raises:
        TargetError: With the first reason and the number of the others, which are its items.
    """
    lines = [line for verdict in judge_targets(graphs, targets) for line in refusal_lines(verdict)]
    if lines:
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        raise TargetError(f"{lines[0]}{more}", items=lines[1:])


def refusal_lines(verdict: TargetVerdict) -> list[str]:
    """Return why a target refuses, one line for each error."""
    return [
        f"{verdict.target.name} refuses the {name} graph: {each}"
        for name, found in verdict.findings.items()
        for each in found
        if each.severity == "error"
    ]
