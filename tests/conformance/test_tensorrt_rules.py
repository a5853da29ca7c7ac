"""Every graph of every family keeps the rules of TensorRT; TensorRT itself is not asked."""

from __future__ import annotations

from facealign.export.graph import graph_from_bytes
from facealign.export.tensorrt.rules import check_tensorrt_rules, rule_problems


def test_graph_keeps_rules_of_tensorrt(graph: bytes) -> None:
    model = graph_from_bytes(graph)

    check_tensorrt_rules(model)

    assert rule_problems(model) == []
