"""The ordered rules, and how they are asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from facealign.errors import GraphContractError
from facealign.export.graph import check_onnx
from facealign.export.target_lint import custom, integers, notes, release, types
from facealign.export.target_lint.adopted import ask_adopted
from facealign.export.target_lint.finding import (
    Finding,
    Severity,
    TargetReport,
    TargetRule,
    finding_from_problem,
)
from facealign.export.tensorrt.rules import with_types
from facealign.export.tensorrt.values import Problem, external_values
from facealign.targets import Engine, Fact, Target

__all__ = ["lint_graph"]

# Asked with functions as they are: who runs them depends on the release.
_ON_FILES: tuple[TargetRule, ...] = (
    custom.custom_operators,
    custom.function_names,
    custom.unused_domains,
)
_FOR_TENSORRT: tuple[TargetRule, ...] = (
    release.opset,
    release.operator_importer,
    release.operator_unknown,
    release.grid_sample_opset,
    release.grid_sample_rank,
    release.constant_inputs,
    types.operator_types,
    types.precision_of_gpu,
    types.strong_typing,
    types.grid_sample_in_half,
    types.quantized_types,
    integers.int64_range,
    integers.uint8_input,
    release.conditional_resize,
    types.half_attention,
    release.operator_restrictions,
    notes.optimization_profiles,
    notes.deep_learning_accelerator,
)
_FOR_ONNXRUNTIME: tuple[TargetRule, ...] = (release.opset, types.precision_of_gpu)
_RANKS: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


def lint_graph(model: ir.Model, targets: Sequence[Target]) -> tuple[TargetReport, ...]:
    """Return what each target has to say about a graph, the worst first.

    A graph that breaks the ONNX standard is refused by all for that alone, and so is, by TensorRT,
    one with nodes that it takes for others: the rules could not be sure of what they read.

    Args:
        model: Any graph; it stays as it is. Types that it does not state are inferred.
        targets: Whom to ask, in order.
    """
    broken = _standard(model)
    if broken is not None:
        return tuple(TargetReport(target, (broken,)) for target in targets)
    whole = with_types(_inlined(model))
    is_mistaken = any(custom.is_mistaken(node) for node in whole.graph.all_nodes())
    # Nothing can be asked of nodes that only are called like standard ones.
    for_tensorrt = () if is_mistaken else (*_FOR_TENSORRT, ask_adopted(whole))
    rules: dict[Engine, Sequence[TargetRule]] = {
        "tensorrt": for_tensorrt,
        "onnxruntime": _FOR_ONNXRUNTIME,
    }
    return tuple(
        TargetReport(target, _findings(model, whole, target, rules[target.engine]))
        for target in targets
    )


def _standard(model: ir.Model) -> Finding | None:
    """Return in how far a graph breaks the standard, or nothing."""
    try:
        check_onnx(_without_files(model))
    except GraphContractError as error:
        text = " ".join(str(error).split())
        because = Fact(onnx.__version__, f"onnx.checker {onnx.__version__}", "measured")
        problem = Problem(text, "export it again, or ask its maker")
        return finding_from_problem(problem, "error", "onnx-standard", because)
    return None


def _without_files(model: ir.Model) -> ir.Model:
    """Return a graph with inputs for its weights in other files, or itself if it has none.

    The checker would look for these files from here.
    """
    if not any(external_values(model)):
        return model
    whole = ir.from_proto(ir.to_proto(model))  # `clone` takes no graph out of order
    for value in tuple(external_values(whole)):
        tensor = ir.convenience.get_const_tensor(value)
        given = ir.Value(name=value.name)
        if tensor is not None:
            given.dtype, given.shape = tensor.dtype, ir.Shape(tensor.shape.numpy())
        value.replace_all_uses_with(given, replace_graph_outputs=True)
        node, graph = value.producer(), value.graph
        if node is not None and node.graph is not None:
            node.graph.remove(node)
        elif graph is not None:
            del graph.initializers[str(value.name)]
        if not value.is_graph_input():
            whole.graph.inputs.append(given)
    return whole


def _inlined(model: ir.Model) -> ir.Model:
    """Return a graph with the bodies of its functions in place, or itself if it has none."""
    if not model.functions:
        return model
    whole = model.clone()
    for function in whole.functions.values():
        # The checker took them, so that what they call is the same in both versions.
        for domain, version in function.opset_imports.items():
            function.opset_imports[domain] = whole.opset_imports.get(domain, version)
    return InlinePass()(whole).model


def _findings(
    model: ir.Model, whole: ir.Model, target: Target, rules: Sequence[TargetRule]
) -> tuple[Finding, ...]:
    found = [*_asked(_ON_FILES, model, target), *_asked(rules, whole, target)]
    return tuple(sorted(found, key=lambda each: _RANKS[each.severity]))


def _asked(rules: Sequence[TargetRule], model: ir.Model, target: Target) -> Iterator[Finding]:
    for rule in rules:
        yield from rule(model, target)
