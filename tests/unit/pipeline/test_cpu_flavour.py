from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from facealign.export.cost import macs_by_node
from facealign.export.graph import bytes_from_graph
from facealign.export.lint import contract_problems
from facealign.export.passes.quantize import for_cpu
from facealign.pipeline import cpu_flavour
from facealign.pipeline.cpu_flavour import cpu_text, if_faster, int8_for_cpu, with_speeds
from facealign.pipeline.judge import Judge
from facealign.pipeline.reduce import reduce_to_int8
from facealign.pipeline.reduction import Reduction
from facealign.spec import WFLW98, contract_input, contract_outputs
from tests.unit.pipeline.small_network import SIZE_PX, Told, judge_of, ranges_of

Ranges = Mapping[str, float]
BUDGET = 0.5
CONTRACT = (contract_input(SIZE_PX), contract_outputs(WFLW98.landmark_count))


@pytest.fixture(scope="module")
def int8(hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge) -> Reduction:
    """Return INT8 with `block-01` left, the second of two trials."""
    return reduce_to_int8(
        hostile, hostile_ranges, hostile_judge, budget_points=BUDGET, stage=Told()
    )


@pytest.fixture(scope="module")
def flavour(
    small: ir.Model, small_ranges: Ranges, small_judge: Judge, int8: Reduction
) -> Reduction:
    """Return the flavour of a network that is not hostile, with the same block left."""
    return int8_for_cpu(small, small_ranges, int8, small_judge)


def with_speed(flavour: Reduction, speed: float) -> Reduction:
    return replace(flavour, speeds={flavour.search.trials[0].left: speed})


def test_flavour_leaves_what_was_left_for_tensorrt(
    flavour: Reduction, int8: Reduction, small: ir.Model, small_ranges: Ranges
) -> None:
    expected = for_cpu(small, small_ranges, leave_float=["c2"])

    assert int8.chosen.left == ("block-01",)
    assert (flavour.precision, flavour.chosen.left) == ("int8-cpu", int8.chosen.left)
    assert bytes_from_graph(flavour.shipped) == bytes_from_graph(expected)
    assert contract_problems(flavour.shipped, *CONTRACT, precision="int8-cpu") == []


def test_flavour_states_the_share_of_what_it_has_kernels_for(small: ir.Model) -> None:
    graph = with_constant_on_the_left(small)
    ranges, judge = ranges_of(graph), judge_of(graph)
    int8 = reduce_to_int8(graph, ranges, judge, budget_points=99, stage=Told())

    flavour = int8_for_cpu(graph, ranges, int8, judge)

    macs = macs_by_node(graph)
    assert "left" in int8.nodes_of(tuple(block.name for block in int8.blocks))
    assert flavour.search.trials[0].share == pytest.approx(
        int8.chosen.share - macs["left"] / sum(macs.values())
    )


def with_constant_on_the_left(small: ir.Model) -> ir.Model:
    """Return the network with a product over the channels before the pool: 16 x 16 by 16 x 256."""
    proto = ir.to_proto(small)
    constants = {
        "w_left": np.eye(16, dtype=np.float32) + np.float32(0.01) * np.arange(16, dtype=np.float32),
        "rows": np.array([-1, 16, 256]),
        "maps": np.array([-1, 16, 16, 16]),
    }
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    nodes = [
        onnx.helper.make_node("Reshape", ["r3", "rows"], ["flat_map"]),
        onnx.helper.make_node("MatMul", ["w_left", "flat_map"], ["left"]),
        onnx.helper.make_node("Reshape", ["left", "maps"], ["map"]),
    ]
    place = next(i for i, node in enumerate(proto.graph.node) if node.op_type == "AveragePool")
    proto.graph.node[place].input[0] = "map"
    for node in reversed(nodes):
        proto.graph.node.insert(place, node)
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True))


def test_flavour_is_judged_by_the_same_budget(flavour: Reduction, int8: Reduction) -> None:
    found = flavour.judgements[flavour.chosen.left]

    assert flavour.limits == int8.limits
    assert found.change_points <= BUDGET
    assert list(flavour.judgements) == [flavour.chosen.left]


def test_flavour_that_costs_too_much_has_no_graph(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge, int8: Reduction
) -> None:
    flavour = int8_for_cpu(hostile, hostile_ranges, int8, hostile_judge)

    # It also quantises what the convolution before the block gives, with the outlier in it.
    assert flavour.judgements[int8.chosen.left].change_points > BUDGET
    assert (flavour.graph, flavour.search.chosen) == (None, None)
    assert re.match(r"no file for ONNX Runtime, whose kernels .* cost \+\d", cpu_text(flavour))


def test_with_speeds_times_every_trial_of_an_attempt(
    hostile: ir.Model,
    hostile_ranges: Ranges,
    hostile_judge: Judge,
    int8: Reduction,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: list[bytes] = []

    def note(slow: bytes, others: Iterable[bytes], crop: NDArray[np.uint8]) -> list[float]:
        timed.extend([slow, *others])
        return [float(len(crop)), 2.0]

    monkeypatch.setattr(cpu_flavour, "speed_ratios", note)

    found = with_speeds(int8, hostile, hostile_ranges, hostile_judge)

    flavours = [for_cpu(hostile, hostile_ranges, leave_float=left) for left in ([], ["c2"])]
    assert timed == [bytes_from_graph(graph) for graph in (hostile, *flavours)]
    assert found.speeds == {(): 1.0, ("block-01",): 2.0}
    assert replace(found, speeds={}) == int8


def test_with_speeds_times_a_refused_attempt_too(
    hostile: ir.Model, hostile_ranges: Ranges, hostile_judge: Judge
) -> None:
    refused = reduce_to_int8(
        hostile, hostile_ranges, hostile_judge, budget_points=-99, stage=Told()
    )

    found = with_speeds(refused, hostile, hostile_ranges, hostile_judge)

    assert list(found.speeds) == [(), ("block-01",)]
    assert min(found.speeds.values()) > 0


@pytest.mark.parametrize(("speed", "ships"), [(1.01, True), (1.0, False), (0.4, False)])
def test_flavour_ships_only_where_it_is_faster(
    flavour: Reduction, speed: float, ships: bool
) -> None:
    found = if_faster(with_speed(flavour, speed))

    assert (found.graph is not None) == ships


def test_cpu_text_says_how_fast_the_flavour_is(flavour: Reduction) -> None:
    fast, slow = (cpu_text(if_faster(with_speed(flavour, speed))) for speed in (1.5, 0.75))

    cost = flavour.judgements[flavour.chosen.left].change_points
    assert fast == f"for ONNX Runtime {cost:+.3f} points, 1.50 times as fast as FP32"
    assert slow == "no file for ONNX Runtime, where it is 0.75 times as fast as FP32"
