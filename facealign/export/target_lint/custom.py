"""Rules on operators of other domains and on local functions: who gets such a node, by release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx
import onnx_ir as ir

from facealign.export.graph import STANDARD_DOMAINS, node_label, node_name
from facealign.export.passes.lower.custom_operator import DOMAIN
from facealign.export.target_lint.finding import Finding, Severity, finding_from_problem
from facealign.export.tensorrt.values import Problem
from facealign.targets import Fact, Target

__all__ = ["custom_operators", "function_names", "is_mistaken", "unused_domains"]

_ORDER = (
    "onnx-tensorrt ModelImporter.cpp at 8.6-GA and 10.1-GA and two newer copies; "
    "NVIDIA/TensorRT CHANGELOG.md 10.7, 10.10, 10.15"
)
_FIRST_FUNCTIONS = (9,)
_PLUGIN_BEFORE_FUNCTION = (10, 7)
_FIRST_DOMAINS = (10, 10)
_FIRST_NAMESPACES = (10, 15)
# The operators of ours that have a plugin, and the first TensorRT that it is for.
_PLUGINS = ("PatchCrop",)
_FIRST_OF_OURS = (10, 3)
_NAMESPACE = "plugin_namespace"
# Kernels of its own, which every build of ONNX Runtime has.
_OF_ONNXRUNTIME = ("com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml")


def custom_operators(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Tell for every custom operator whether the target has something to run it with.

    Args:
        model: With its functions, not inlined.
        target: Of any engine.
    """
    with_body = {(domain, name) for domain, name, _ in model.functions}
    for node in _nodes(model):
        if node.domain in STANDARD_DOMAINS:
            continue
        has_body = (node.domain, node.op_type) in with_body
        if target.engine == "onnxruntime":
            yield from _of_onnxruntime(node, has_body=has_body)
        else:
            yield from _of_tensorrt(node, target, has_body=has_body)


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    """Yield the nodes of the graph, and once those of each function that is called."""
    waiting: list[ir.Graph | ir.Function] = [model.graph]
    seen = set()
    while waiting:
        for node in waiting.pop().all_nodes():
            yield node
            function = model.functions.get(node.op_identifier())
            if function is not None and function.identifier() not in seen:
                seen.add(function.identifier())
                waiting.append(function)


def _of_onnxruntime(node: ir.Node, *, has_body: bool) -> Iterator[Finding]:
    if not has_body and node.domain not in _OF_ONNXRUNTIME:
        yield _finding(
            "error",
            node,
            f"is of domain {node.domain!r}, which ONNX Runtime does not have",
            "export it with `--patch-crop function`"
            if _has_our_plugin(node)
            else "give it a function body, or write it in standard operators",
        )


def _of_tensorrt(node: ir.Node, target: Target, *, has_body: bool) -> Iterator[Finding]:
    if is_mistaken(node):
        yield _finding(
            "error",
            node,
            f"is of domain {node.domain!r}, which TensorRT ignores: it takes the built-in "
            f"{node.op_type}",
            "give the operator a name that no standard operator has",
        )
    elif not has_body and _has_our_plugin(node):
        yield _of_our_plugin(node, target)
    elif not has_body:
        where = f"in namespace {node.domain!r} or that of" if _reads_domain(target) else "by"
        yield _finding(
            "error",
            node,
            f"has no function body, so {target.engine_text} looks for a plugin {node.op_type!r} "
            f"{where} its attribute {_NAMESPACE!r}",
            "write it in standard operators, give it a function body, or register the plugin",
        )
    elif target.oldest < _FIRST_FUNCTIONS:
        yield _finding(
            "error",
            node,
            f"has a function body, which {target.engine_text} ignores: it looks for a plugin "
            f"{node.op_type!r}",
            "inline the function, or register the plugin",
        )
    else:
        yield _finding("note", node, *_who_runs(node, target))


def _of_our_plugin(node: ir.Node, target: Target) -> Finding:
    if target.oldest < _FIRST_OF_OURS:
        return _finding(
            "error",
            node,
            "has no function body, and facealign's plugin for it is for TensorRT from 10.3 on, "
            f"not for {target.engine_text}",
            "export it with `--patch-crop standard`",
        )
    return _finding(
        "warning",
        node,
        "has no function body, so it runs by facealign's plugin alone, which `facealign build` "
        "registers and trtexec, Triton and C++ do not have",
        "build with `facealign build`, or export with `--patch-crop function`",
    )


def _has_our_plugin(node: ir.Node) -> bool:
    return node.domain == DOMAIN and node.op_type in _PLUGINS


def _who_runs(node: ir.Node, target: Target) -> tuple[str, str]:
    """Return who runs a node that has a function body, and how to change that."""
    function = f"runs by its function body on {target.engine_text}"
    either = f"runs by a plugin on {target.engine_text} if one is registered, else by its function"
    if target.oldest < _PLUGIN_BEFORE_FUNCTION:
        return f"{function}, never by a plugin", "for the plugin take the function out of the file"
    if target.oldest < _FIRST_NAMESPACES:
        return either, "nothing to do"
    if _NAMESPACE in node.attributes:
        return either, "nothing to do"
    return function, f"for a plugin give the node an attribute {_NAMESPACE!r}"


def is_mistaken(node: ir.Node) -> bool:
    """Return whether TensorRT, which ignores domains, takes a node for a standard operator."""
    return node.domain not in STANDARD_DOMAINS and bool(onnx.defs.has(node.op_type))


def _reads_domain(target: Target) -> bool:
    return target.oldest >= _FIRST_DOMAINS


def _finding(severity: Severity, node: ir.Node, why: str, fix: str) -> Finding:
    problem = Problem(f"{node_label(node)} {why}", fix, (node_name(node),))
    because = Fact(node.domain, _ORDER, "measured")
    return finding_from_problem(problem, severity, "custom-operators", because)


def function_names(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Find functions of one name: TensorRT knows them by name alone."""
    counts = Counter(name for _, name, _ in model.functions)
    for name in (name for name, count in counts.items() if count > 1):
        if target.engine == "tensorrt":
            problem = Problem(
                f"{counts[name]} functions are called {name!r}, and TensorRT tells them apart by "
                "name alone",
                "give each a name of its own",
            )
            because = Fact(name, _ORDER, "measured")
            yield finding_from_problem(problem, "error", "function-names", because)


def unused_domains(model: ir.Model, target: Target) -> Iterator[Finding]:
    """Warn of imported domains that no node uses, as ONNX Runtime's quantiser leaves them."""
    used = {node.domain for node in _nodes(model)}
    used |= {domain for domain, _, _ in model.functions}
    for domain in model.opset_imports:
        if target.engine == "tensorrt" and domain not in {*STANDARD_DOMAINS, *used}:
            problem = Problem(f"opset import {domain!r} is not ONNX's", "take it off")
            because = Fact(domain, "files of ONNX Runtime's quantiser", "unconfirmed")
            yield finding_from_problem(problem, "warning", "unused-domains", because)
