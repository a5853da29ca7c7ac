"""Every tiny network, in every precision, on every target that facealign exports for."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from facealign.export.graph import STANDARD_DOMAINS, graph_from_bytes
from facealign.export.passes.precision import half_precision
from facealign.export.passes.quantize import for_cpu, quantize, tensors_to_observe
from facealign.export.target_lint import Severity
from facealign.pipeline.targets import Form, TargetVerdict, judge_targets, lowered_for
from facealign.targets import Target, discover_targets

SINCE_10_3 = [
    target
    for target in discover_targets()
    if target.engine == "tensorrt" and target.oldest >= (10, 3)
]
OLD = [
    target for target in discover_targets() if target.engine == "tensorrt" and target.oldest < (10,)
]
ONNXRUNTIME = [target for target in discover_targets() if target.engine == "onnxruntime"]
# Said aloud, and not tested on a device: ONNX allows an FP16 map at FP32 positions, and a graph
# may ask for the size of its batch.
EXPECTED_WARNINGS = {"grid-sample-types", "resize-sizes", "uint8-shapes"}


@pytest.fixture(scope="module")
def graphs(graph: bytes) -> dict[str, ir.Model]:
    """Return the graphs by precision. Where Q/DQ stand does not depend on the ranges."""
    full = graph_from_bytes(graph)
    half = half_precision(full)
    ranges = dict.fromkeys(tensors_to_observe(full), 1.0)
    in_half = {name: 1.0 for name in tensors_to_observe(half) if name in ranges}
    return {
        "fp32": full,
        "fp16": half,
        "int8": quantize(full, ranges),
        "int8 in fp16": quantize(half, in_half),
        "int8-cpu": for_cpu(full, ranges),
    }


@pytest.fixture(scope="module")
def verdicts(graphs: dict[str, ir.Model]) -> tuple[TargetVerdict, ...]:
    """Return what every target says; a graph is checked and its types inferred once for all."""
    return judge_targets(graphs, discover_targets())


def found_rules(
    verdicts: tuple[TargetVerdict, ...], targets: list[Target], severity: Severity
) -> set[tuple[str, str, str]]:
    return {
        (verdict.target.name, name, each.rule)
        for verdict in verdicts
        if verdict.target in targets
        for name, findings in verdict.findings.items()
        for each in findings
        if each.severity == severity
    }


def test_every_precision_passes_for_tensorrt_since_10_3(
    verdicts: tuple[TargetVerdict, ...],
) -> None:
    warned = {rule for _, _, rule in found_rules(verdicts, SINCE_10_3, "warning")}

    assert found_rules(verdicts, SINCE_10_3, "error") == set()
    assert warned <= EXPECTED_WARNINGS


def test_every_precision_is_in_standard_operators(graphs: dict[str, ir.Model]) -> None:
    domains = {node.domain for graph in graphs.values() for node in graph.graph.all_nodes()}

    assert domains <= set(STANDARD_DOMAINS)
    assert all(not graph.functions for graph in graphs.values())


def test_every_precision_passes_for_onnxruntime(verdicts: tuple[TargetVerdict, ...]) -> None:
    assert found_rules(verdicts, ONNXRUNTIME, "error") == set()


def test_every_network_is_refused_before_10_for_its_opset(
    verdicts: tuple[TargetVerdict, ...],
) -> None:
    refused = found_rules(verdicts, OLD, "error")

    assert {(target.name, "fp32", "opset") for target in OLD} <= refused


def test_every_network_passes_before_10_when_lowered(graphs: dict[str, ir.Model]) -> None:
    lowered = {"fp32": lowered_for(graphs["fp32"], "fp32", Form(tuple(OLD)))}

    assert found_rules(judge_targets(lowered, OLD), OLD, "error") == set()
