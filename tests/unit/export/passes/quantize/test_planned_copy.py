from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from facealign.export.graph import bytes_from_graph, node_name
from facealign.export.passes.quantize.planned_copy import planned_copy
from tests.unit.export.passes.quantize.test_tensorrt import GROUPED, RESIDUAL

Parse = Callable[[str], ir.Model]


def test_planned_copy_plans_for_the_copy_and_not_for_the_graph(float_graph: Parse) -> None:
    model = float_graph(RESIDUAL)

    copy, plan = planned_copy(model)

    assert [product.node.graph for product in plan.products] == [copy.graph] * 2
    assert bytes_from_graph(copy) == bytes_from_graph(model)


def test_planned_copy_leaves_blocks_float(float_graph: Parse) -> None:
    _, plan = planned_copy(float_graph(RESIDUAL), leave_float=["block-00"])

    assert [node_name(product.node) for product in plan.products] == ["c2"]


def test_planned_copy_takes_group_convolutions_when_asked(float_graph: Parse) -> None:
    _, plan = planned_copy(float_graph(GROUPED), grouped=True)

    assert [node_name(product.node) for product in plan.products] == ["y"]
