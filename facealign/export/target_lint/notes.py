"""What whoever builds an engine should know, though the graph is right."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from facealign.export.target_lint.finding import Finding, finding_from_problem
from facealign.export.tensorrt.values import Problem
from facealign.targets import Fact, Target

__all__ = ["deep_learning_accelerator", "optimization_profiles"]

_PROFILES = Fact((10, 8), "NVIDIA/TensorRT#4250, fixed in 10.8", "issue")
_HAVE_DLA = ("Xavier", "Orin", "AGX Orin")


def optimization_profiles(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Note that several profiles cost accuracy before 10.8, if the graph needs a profile."""
    is_dynamic = any(
        not isinstance(dim, int) for value in model.graph.inputs for dim in value.shape or ()
    )
    if is_dynamic and target.oldest < _PROFILES.value:
        problem = Problem(
            f"{target.engine_text} may lose accuracy with several optimisation profiles",
            "build one profile per engine",
        )
        yield finding_from_problem(problem, "note", "optimization-profiles", _PROFILES)


def deep_learning_accelerator(model: ir.Model, target: Target) -> Iterator[Finding]:  # noqa: ARG001  # the signature of a rule
    """Note whether the DLA of a module can be used, where a module has one."""
    if target.dla.value:
        problem = Problem(
            f"the DLA of {' and '.join(target.dla.value)} reads fewer operators and types than "
            "these tables, which are of the GPU",
            "build for the GPU, or measure what falls back",
        )
        yield finding_from_problem(problem, "note", "deep-learning-accelerator", target.dla)
    elif any(gpu.name in _HAVE_DLA for gpu in target.gpus.value):
        problem = Problem(
            f"{target.engine_text} does not use the DLA that Orin has", "build for the GPU"
        )
        yield finding_from_problem(problem, "note", "deep-learning-accelerator", target.dla)
