"""INT8 of ModelOpt passes the same checks and the same budget as ours, or is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx_ir as ir
import pytest

from facealign.errors import DatasetError, GraphContractError, MissingLibraryError, UsageError
from facealign.export.graph import OPSET, bytes_from_graph, node_counts
from facealign.export.passes.quantize import blocks_of, tensors_to_observe
from facealign.export.passes.quantize.foreign import quantized_products
from facealign.pipeline.cpu_flavour import int8_for_cpu
from facealign.pipeline.faces import FaceRequest
from facealign.pipeline.judge import HeldOut, Judge, open_judge
from facealign.pipeline.modelopt import reduce_by_modelopt
from facealign.pipeline.precision_report import json_from_reductions
from facealign.pipeline.precision_request import PrecisionRequest, check_precisions
from facealign.pipeline.reduce import LEAST_INT8_SHARE
from facealign.pipeline.reduction import Reduction
from facealign.pipeline.run_crops import graph_runner
from facealign.spec import WFLW98
from tests.unit.modelopt_double import (
    SIZE_PX,
    VERSION,
    ModeloptDouble,
    install_double,
    small_graph,
)

ALL = {"c1", "c2", "c3"}
ANYTHING_POINTS = 1e9
Spoil = Callable[[ir.Model], object]


class Silence:
    """A stage that nobody watches."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def advance(self, done: int, *, total: int) -> None:
        """Show nothing."""


@pytest.fixture(scope="module")
def graph() -> ir.Model:
    return small_graph()


@pytest.fixture(scope="module")
def crops() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(4).integers(0, 256, (12, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def judge(graph: ir.Model, crops: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Judge:
    held_out = HeldOut("noise", "none", crops[::-1].copy())
    return open_judge(held_out, graph_runner(bytes_from_graph(graph)), scheme=WFLW98)


@pytest.fixture
def reduce(
    graph: ir.Model,
    judge: Judge,
    crops: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Reduction]:
    """Return what reduces with a double of ModelOpt, which may spoil what it makes."""

    def run(spoil: Spoil = lambda _: None, budget_points: float = ANYTHING_POINTS) -> Reduction:
        install_double(monkeypatch, ModeloptDouble(spoil))
        return reduce_by_modelopt(
            graph, crops, judge, observer="entropy", budget_points=budget_points, stage=Silence()
        )

    return run


def of_type(model: ir.Model, op_type: str) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == op_type]


def raise_opset(model: ir.Model) -> None:
    model.opset_imports[""] = OPSET + 1


def shift_zero_point(model: ir.Model) -> None:
    value = next(n for n in model.graph if n.op_type == "QuantizeLinear").inputs[2]
    assert value is not None
    value.const_value = ir.tensor(np.array(3, np.int8), name=value.name)


def quantize_bias(model: ir.Model) -> None:
    (conv,) = [node for node in of_type(model, "Conv") if node.outputs[0].name == "c2"]
    codes = ir.val("codes", const_value=ir.tensor(np.ones(16, np.int32), name="codes"))
    scale = ir.val("bias_scale", const_value=ir.tensor(np.float32(0.1), name="bias_scale"))
    for value in (codes, scale):
        model.graph.initializers.add(value)
    bias = ir.node("DequantizeLinear", [codes, scale], name="bias")
    model.graph.insert_before(conv, bias)
    conv.replace_input_with(2, bias.outputs[0])


def mix_types(model: ir.Model) -> None:
    (add,) = of_type(model, "Add")
    half = ir.node("Cast", [add.inputs[0]], {"to": int(ir.DataType.FLOAT16)}, name="half")
    model.graph.insert_before(add, half)
    add.replace_input_with(0, half.outputs[0])


def quantize_landmarks(model: ir.Model) -> None:
    (last,) = [node for node in of_type(model, "Reshape") if node.outputs[0].is_graph_output()]
    pair = next(node for node in of_type(model, "DequantizeLinear"))
    first = ir.node("QuantizeLinear", [last.inputs[0], *pair.inputs[1:]], name="first")
    second = ir.node("DequantizeLinear", [first.outputs[0], *pair.inputs[1:]], name="second")
    end = ir.node("Reshape", [second.outputs[0], last.inputs[1]], name="end")
    output = last.outputs[0]
    model.graph.insert_before(last, [first, second, end])
    output.name, end.outputs[0].name = "old", str(output.name)
    end.outputs[0].type, end.outputs[0].shape = output.type, output.shape
    model.graph.outputs[0] = end.outputs[0]


def rename_output(model: ir.Model) -> None:
    model.graph.outputs[0].name = "points"


def test_modelopt_int8_may_ship_with_all_that_it_quantised(
    reduce: Callable[..., Reduction],
) -> None:
    int8 = reduce()

    assert quantized_products(int8.shipped) == ALL
    assert int8.precision == "int8"
    assert int8.made_by == f"modelopt {VERSION}"
    assert int8.chosen.share == pytest.approx(sum(block.share for block in int8.blocks))
    assert int8.judgements[()].p99_px > 0
    assert int8.shipped.metadata_props["facealign.quantizer"] == f"modelopt {VERSION}"


def test_modelopt_int8_is_sampled_in_float_where_modelopt_quantised_the_tensor(
    reduce: Callable[..., Reduction],
) -> None:
    seen: list[str | None] = []

    int8 = reduce(lambda made: seen.append(_source(made)))

    assert seen == ["DequantizeLinear"]
    assert _source(int8.shipped) == "Relu"


def _source(model: ir.Model) -> str | None:
    (sample,) = of_type(model, "GridSample")
    value = sample.inputs[0]
    node = None if value is None else value.producer()
    return None if node is None else node.op_type


def test_modelopt_int8_leaves_what_the_budget_asks_for(reduce: Callable[..., Reduction]) -> None:
    whole = reduce()
    drifts = whole.judgements[()].change_points

    part = reduce(budget_points=0.999 * drifts)

    assert part.chosen.left
    assert quantized_products(part.shipped) == ALL - set(part.nodes_of(part.chosen.left))
    assert LEAST_INT8_SHARE <= part.chosen.share < whole.chosen.share
    assert part.judgements[part.chosen.left].change_points <= 0.999 * drifts


def test_modelopt_int8_that_costs_too_much_is_refused(reduce: Callable[..., Reduction]) -> None:
    int8 = reduce(budget_points=0)

    assert int8.graph is None
    assert int8.search.trials


def test_modelopt_int8_has_no_block_of_what_modelopt_left_float(
    reduce: Callable[..., Reduction], graph: ir.Model
) -> None:
    int8 = reduce(_float_again("c3"))

    assert {node for block in int8.blocks for node in block.nodes} == {"c1", "c2"}
    assert quantized_products(int8.shipped) == {"c1", "c2"}
    shares = {block.nodes: block.share for block in blocks_of(graph)}
    assert int8.chosen.share == pytest.approx(shares["c1",] + shares["c2",])


def _float_again(name: str) -> Spoil:
    def spoil(model: ir.Model) -> None:
        (node,) = [each for each in model.graph if each.outputs[0].name == name]
        weight = next(v for k, v in model.graph.initializers.items() if k == "w3")
        node.replace_input_with(1, weight)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(raise_opset, "opset 20", id="opset"),
        pytest.param(shift_zero_point, "has a zero point of 3; TensorRT takes 0 alone", id="zero"),
        pytest.param(quantize_bias, "is INT32, a bias; TensorRT cannot read it", id="bias"),
        pytest.param(mix_types, "mixes FLOAT and FLOAT16; cast to one type", id="types"),
        pytest.param(rename_output, r"outputs must be \['landmarks'\]", id="contract"),
    ],
)
def test_modelopt_graph_that_would_be_misread_is_refused_in_the_words_of_the_rule(
    reduce: Callable[..., Reduction], spoil: Spoil, words: str
) -> None:
    with pytest.raises(
        GraphContractError,
        match=rf"^what modelopt {VERSION} made may not ship: .*{words}.*"
        r"; leave out `--quantizer modelopt`$",
    ):
        reduce(spoil)


def test_landmarks_that_modelopt_quantised_are_float_again(
    reduce: Callable[..., Reduction],
) -> None:
    plain = reduce()

    int8 = reduce(quantize_landmarks)

    assert node_counts(int8.shipped) == node_counts(plain.shipped)
    assert int8.judgements == plain.judgements


def test_graph_for_cpus_takes_the_products_that_modelopt_took(
    reduce: Callable[..., Reduction], graph: ir.Model, judge: Judge
) -> None:
    ranges = dict.fromkeys(tensors_to_observe(graph), 8.0)
    int8 = reduce(_float_again("c3"))

    flavour = int8_for_cpu(graph, ranges, int8, judge)

    assert quantized_products(flavour.shipped) == {"c1", "c2"}
    assert flavour.made_by == "facealign"


def test_report_says_who_made_int8(reduce: Callable[..., Reduction], judge: Judge) -> None:
    int8 = reduce()

    report = msgspec.json.decode(json_from_reductions(judge, (int8,)))

    assert report["precisions"]["int8"]["made_by"] == f"modelopt {VERSION}"


def request(**settings: str) -> PrecisionRequest:
    faces = FaceRequest(Path("faces"))
    return replace(
        PrecisionRequest(("fp32", "fp16", "int8"), faces=faces, quantizer="modelopt"),
        **settings,  # type: ignore[arg-type]  # names of fields
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"observer": "mse"},
            "ModelOpt has no observer 'mse'; pass `--observer entropy` or `--observer min_max`",
            id="observer",
        ),
        pytest.param(
            {"rest": "fp16"}, "stays FP32, got 'fp16'; leave out `--int8-rest`", id="rest"
        ),
    ],
)
def test_what_modelopt_cannot_do_is_said_at_once(settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_precisions(request(**settings))


def test_missing_modelopt_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelopt", None)

    with pytest.raises(MissingLibraryError, match=r"facealign\[modelopt\]"):
        check_precisions(request())


def test_modelopt_is_not_asked_for_without_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelopt", None)

    with pytest.raises(DatasetError, match="`faces` is no folder"):  # looked for last
        check_precisions(replace(request(), precisions=("fp32", "fp16")))
