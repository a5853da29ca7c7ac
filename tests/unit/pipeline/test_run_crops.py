from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from facealign.errors import BackendError, GraphContractError
from facealign.export.graph import bytes_from_graph
from facealign.export.passes.quantize import quantize
from facealign.pipeline import run_crops
from facealign.pipeline.run_crops import graph_runner, speed_ratios
from facealign.runtime.ort_engine import OrtEngine, run_graph
from tests.unit.pipeline.small_network import crops_for

SAME = 1e-6  # of the crop; measured 1.2e-7 between batches of 8 and of 19
ROUNDS = 15


@pytest.mark.parametrize("count", [1, 8, 19], ids=["one", "a-batch", "three-batches"])
def test_graph_runner_gives_the_landmarks_of_all_crops_in_order(
    small: ir.Model, count: int
) -> None:
    crops = crops_for(count)

    found = graph_runner(bytes_from_graph(small))(crops)

    expected = run_graph(bytes_from_graph(small), crops)["landmarks"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=SAME)


def test_graph_runner_opens_the_graph_only_when_it_runs() -> None:
    run = graph_runner(b"no graph")

    with pytest.raises(BackendError, match="cannot open the graph"):
        run(crops_for(1))


def test_graph_runner_refuses_a_graph_without_landmarks(small: ir.Model) -> None:
    other = small.clone()
    other.graph.outputs[0].name = "elsewhere"

    with pytest.raises(GraphContractError, match="no output 'landmarks', it has"):
        graph_runner(bytes_from_graph(other))(crops_for(1))


def test_graph_runner_hands_on_whether_kernels_are_integer(
    small: ir.Model, small_ranges: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    class Spy(OrtEngine):
        def __init__(self, *args: object, integer_kernels: bool, **how: object) -> None:
            asked.append(integer_kernels)
            super().__init__(*args, integer_kernels=integer_kernels, **how)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(run_crops, "OrtEngine", Spy)
    data = bytes_from_graph(quantize(small, small_ranges))

    graph_runner(data)(crops_for(1))
    graph_runner(data, integer_kernels=False)(crops_for(1))

    assert asked == [True, False]


def clock_of(*seconds: float) -> Callable[[object, object], float]:
    """Return a stop-watch for two engines that take turns, the first turn of which is slow."""
    times = iter([100.0, 100.0, *seconds * ROUNDS])
    return lambda _engine, _crop: next(times)


def test_speed_ratio_is_that_of_the_medians_after_a_warm_up(
    small: ir.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_crops, "_seconds", clock_of(0.6, 0.2))
    data = bytes_from_graph(small)

    assert speed_ratios(data, [data], crops_for(1)) == pytest.approx([3.0])


def test_speed_ratios_tell_a_heavy_graph_from_a_light_one(small: ir.Model) -> None:
    data = bytes_from_graph(small)

    heavier, same = speed_ratios(data, [_with_work(small), data], crops_for(1))

    assert heavier < 0.7  # measured 0.1
    assert heavier < same


def test_speed_ratios_of_nothing_are_none(small: ir.Model) -> None:
    assert speed_ratios(bytes_from_graph(small), [], crops_for(1)) == []


def _with_work(graph: ir.Model) -> bytes:
    """Return the graph with forty more convolutions on the way."""
    other = graph.clone()
    node = next(each for each in other.graph if each.outputs[0].name == "c1")
    before, relu = node.inputs[0], node.outputs[0]
    value = before
    for _ in range(40):
        extra = ir.node("Conv", [value, node.inputs[1]], {"pads": [1, 1, 1, 1]})
        other.graph.insert_before(node, extra)
        value = extra.outputs[0]
    assert relu is not None
    node.replace_input_with(0, value)
    return bytes_from_graph(other)
