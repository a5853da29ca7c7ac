"""The graphs of a bundle for the targets that they are for: their form, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import onnx_ir as ir

from facealign.errors import GraphContractError, TargetError
from facealign.export.graph import OPSET
from facealign.export.passes.lower import lower
from facealign.export.precision_rules import Precision
from facealign.export.target_lint import Finding, lint_graph
from facealign.export.tensorrt.by_release import is_without_importer
from facealign.pipeline.precision_request import PrecisionRequest
from facealign.targets import Target, targets_from_names

__all__ = [
    "Form",
    "FormRequest",
    "PatchCropForm",
    "PortableForm",
    "TargetVerdict",
    "check_targets",
    "fitted_request",
    "form_of",
    "judge_targets",
    "lowered_for",
    "refusal_lines",
]

# The others are for any engine. UINT8 activations are ONNX Runtime's alone.
_ENGINES = {"int8-cpu": ("onnxruntime",)}

PortableForm = Literal["standard", "function", "gather"]
"""The forms of `lower` that ONNX Runtime runs too, so that what ships is what was measured."""
PatchCropForm = Literal[PortableForm, "plugin"]
"""``plugin`` ships without the function body; our ONNX Runtime engine adds it, see its module."""


@dataclass(frozen=True, slots=True)
class FormRequest:
    """Where graphs are to run, and in which operators.

    Attributes:
        targets: Names of those that must take every graph that is for their engine.
        patch_crop: In which form the graphs sample patches; a target may need another.
        graph_convolution: In which form they sum over neighbouring landmarks.
    """

    targets: tuple[str, ...] = ()
    patch_crop: PatchCropForm = "standard"
    graph_convolution: PortableForm = "standard"


@dataclass(frozen=True, slots=True)
class Form:
    """A `FormRequest` whose targets were found."""

    targets: tuple[Target, ...] = ()
    patch_crop: PatchCropForm = "standard"
    graph_convolution: PortableForm = "standard"

    @property
    def options(self) -> dict[str, str]:
        """What was asked for, by name; nothing if nothing was."""
        asked = {
            "targets": " ".join(target.name for target in self.targets),
            "patch_crop": self.patch_crop.removeprefix("standard"),
            "graph_convolution": self.graph_convolution.removeprefix("standard"),
        }
        return {name: text for name, text in asked.items() if text}


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


def form_of(request: FormRequest) -> Form:
    """Return the form that is asked for.

    Raises:
        UsageError: If there is no such target.
    """
    targets = targets_from_names(request.targets)
    return Form(targets, request.patch_crop, request.graph_convolution)


def fitted_request(request: PrecisionRequest, targets: Sequence[Target]) -> PrecisionRequest:
    """Return the request without FP16 if a target is not bound to the types of a graph.

    Raises:
        TargetError: If FP16 is required.
    """
    loose = [target for target in targets if not target.strong_typing.value]
    if not loose or not ("fp16" in request.precisions or request.rest == "fp16"):
        return request
    if request.is_required or request.rest == "fp16":
        raise TargetError(
            f"{loose[0].name} ({loose[0].engine_text}) takes the types of a graph for hints, so "
            "coordinates may run in FP16; leave FP16 out of `--precision` and `--int8-rest`"
        )
    return replace(request, precisions=tuple(p for p in request.precisions if p != "fp16"))


def lowered_for(graph: ir.Model, name: Precision, form: Form) -> ir.Model:
    """Return a graph in the form that was asked for, and that all targets read.

    It is `graph` itself where that is the form in which it is exported.

    Args:
        graph: As it is exported.
        name: Of the graph.
        form: With the targets that are to read it, unless they run other engines.

    Raises:
        TargetError: If it cannot be written in that form, or a target refuses it.
    """
    readers = [
        target for target in form.targets if target.engine in _ENGINES.get(name, (target.engine,))
    ]
    lacking = {
        op_type
        for op_type in ("GridSample", "LayerNormalization")
        for target in readers
        if is_without_importer(op_type, target.tables)
    }
    is_old = any(target.export_opset.value < OPSET for target in readers)
    patch_crop = "gather" if "GridSample" in lacking else _patch_crop_of(name, form)
    lowered = graph
    if lacking or is_old or (patch_crop, form.graph_convolution) != ("standard", "standard"):
        try:
            lowered = lower(
                graph,
                patch_crop=patch_crop,
                graph_convolution=form.graph_convolution,
                layer_normalization="decomposed" if "LayerNormalization" in lacking else "standard",
                opset=17 if is_old else 19,
            )
        except GraphContractError as error:
            names = ", ".join(target.name for target in readers) or "this form"
            raise TargetError(f"the {name} graph cannot be written for {names}: {error}") from error
    check_targets({name: lowered}, form.targets)
    return lowered


def _patch_crop_of(name: Precision, form: Form) -> PatchCropForm:
    """Return the form of the patch crop: a graph that TensorRT never sees needs no plugin."""
    is_for_tensorrt = "tensorrt" in _ENGINES.get(name, ("tensorrt",))
    return "standard" if form.patch_crop == "plugin" and not is_for_tensorrt else form.patch_crop


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
