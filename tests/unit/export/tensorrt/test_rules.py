"""The ordered rules as a whole, on good graphs and on what ONNX Runtime's quantiser makes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from facealign.errors import GraphContractError
from facealign.export.tensorrt import dtypes, files, operators, placement, quantizers
from facealign.export.tensorrt.rules import (
    RULES,
    WARNINGS,
    check_tensorrt_rules,
    rule_problems,
    rule_warnings,
)
from facealign.export.tensorrt.values import Rule

Parse = Callable[[str], ir.Model]

# A small network quantised by the rules: its head, its sampling and its sum's main branch are not.
GOOD = """
g (uint8[B, 8, 8, 3] image, float[1, 8, 8, 2] grid) => (float[B, 6] landmarks)
<float s = {0.5}, int8 z = {0}, float[3, 3, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9},
 float[3] ws = {0.1, 0.1, 0.1}, int8[3] wz = {0, 0, 0}, float[3] b = {0, 0, 0},
 float[3, 6] head = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9},
 int64[2] axes = {2, 3}>
{
  image_float = Cast<to = 1>(image)
  x = Transpose<perm = [0, 3, 1, 2]>(image_float)
  xi = QuantizeLinear(x, s, z)
  xf = DequantizeLinear(xi, s, z)
  wi = QuantizeLinear<axis = 0>(w, ws, wz)
  wf = DequantizeLinear<axis = 0>(wi, ws, wz)
  c = Conv(xf, wf, b)
  sum = Add(c, xf)
  r = Relu(sum)
  sampled = GridSample<mode = "bilinear">(r, grid)
  mean = ReduceMean<keepdims = 0>(sampled, axes)
  landmarks = MatMul(mean, head)
}
"""
NETWORK = """
<ir_version: 9, opset_import: ["": 19]>
g (float[1, 3, 8, 8] x, float[4, 3, 3, 3] w1, float[4] b1, float[4, 4, 1, 1] w2, float[4] b2,
   float[8] scale) => (float[1, 4, 8, 8] y)
{
  c1 = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
  m = Softmax<axis = 1>(c1)
  c2 = Conv(m, w2, b2)
  t = Tanh(c2)
  y = LayerNormalization(t, scale)
}
"""


def test_rules_pass_network_quantised_by_them(model_from_text: Parse) -> None:
    model = model_from_text(GOOD)

    check_tensorrt_rules(model)

    assert rule_problems(model) == []
    assert rule_warnings(model) == []


def test_rule_problems_infers_types_that_are_not_stated() -> None:
    text = "g (float[1] x) => (y) { a = Cast<to = 11>(x) y = Cast<to = 1>(a) }"
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["": 19]>\n{text}')
    model = ir.from_proto(proto)

    (problem,) = rule_problems(model)

    assert problem.startswith("`a` of Cast `a` is DOUBLE")
    assert model.graph[0].outputs[0].dtype is None


def test_rule_problems_keeps_order_of_rules(model_from_text: Parse) -> None:
    model = model_from_text(GOOD)
    model.graph.initializers["z"].const_value = ir.tensor(np.int8(1), name="z")
    model.graph.opset_imports[""] = 25

    problems = rule_problems(model)

    assert [problem.partition(" ")[0] for problem in problems] == [
        "opset",
        "GridSample",
        "QuantizeLinear",
        "DequantizeLinear",
    ]


def test_rule_warnings_do_not_refuse(model_from_text: Parse) -> None:
    model = model_from_text(GOOD.replace('mode = "bilinear"', 'padding_mode = "border"'))

    check_tensorrt_rules(model)

    assert len(rule_warnings(model)) == 1


def test_check_tensorrt_rules_names_every_problem_of_few(model_from_text: Parse) -> None:
    model = model_from_text("g (double[1] x) => (double[1] y) { [n] y = Relu(x) }")

    with pytest.raises(
        GraphContractError,
        match=r"^the graph breaks the rules of TensorRT: input `x` is DOUBLE; TensorRT has no such "
        r"type, so cast to FLOAT; `y` of Relu `n` is DOUBLE; .* so cast to FLOAT$",
    ):
        check_tensorrt_rules(model)


def test_check_tensorrt_rules_counts_problems_beyond_twelve(model_from_text: Parse) -> None:
    chain = " ".join(f"v{k + 1} = Relu(v{k})" for k in range(20))
    model = model_from_text(f"g (double[1] v0) => (double[1] v20) {{ {chain} }}")

    with pytest.raises(
        GraphContractError, match=r"and 9 more, which `rule_problems` lists$"
    ) as raised:
        check_tensorrt_rules(model)

    assert str(raised.value).count("is DOUBLE") == 12


FOREIGN = """
g (float[1, 3, 8, 8] x, float[1, 8, 8, 2] grid, float16[1, 3, 8, 8] half) => (float[1, 3, 8, 8] y)
<float s = {0.5}, int8 z = {%s}, float[3, 3, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9},
 int8 wz = {%s}, float[3] b = {1, 2, 3}>
{
  xi = QuantizeLinear(x, s, z)
  xf = DequantizeLinear(xi, s, z)
  wi = QuantizeLinear(w, s, wz)
  wf = DequantizeLinear(wi, s, wz)
  bi = QuantizeLinear(b, s, wz)
  bf = DequantizeLinear(bi, s, wz)
  c = Conv(%s)
  sum = Add(%s)
  y = GridSample(sum, grid)
}
"""
PLAIN = ("0", "0", "xf, wf, b", "c, x")


def test_check_tensorrt_rules_passes_foreign_graph_that_keeps_them(model_from_text: Parse) -> None:
    check_tensorrt_rules(model_from_text(FOREIGN % PLAIN))


@pytest.mark.parametrize(
    ("parts", "opset", "reason"),
    [
        pytest.param(PLAIN, 20, "at opset 20, which TensorRT silently runs as nearest", id="opset"),
        pytest.param(PLAIN, 21, "at opset 21, which TensorRT silently runs as nearest", id="later"),
        pytest.param(("7", *PLAIN[1:]), 19, "has a zero point of 7", id="zero-point"),
        pytest.param(
            ("0", "-5", *PLAIN[2:]), 19, "has a zero point of -5", id="zero-point-of-weight"
        ),
        pytest.param(
            ("0", "0", "xf, wf, bf", "c, x"), 19, "Conv `c` has a quantised bias", id="bias"
        ),
        pytest.param(
            ("0", "0", "xf, wf, b", "c, half"),
            19,
            "Add `sum` mixes FLOAT and FLOAT16",
            id="mixed-types",
        ),
    ],
)
def test_check_tensorrt_rules_refuses_foreign_graph(
    model_from_text: Parse, parts: tuple[str, ...], opset: int, reason: str
) -> None:
    model = model_from_text(FOREIGN % parts)
    model.opset_imports[""] = opset

    with pytest.raises(GraphContractError, match=f"breaks the rules of TensorRT: .*{reason}"):
        check_tensorrt_rules(model)


@pytest.mark.parametrize(
    "module", [files, operators, dtypes, quantizers, placement], ids=lambda module: module.__name__
)
def test_every_rule_is_asked(module: ModuleType) -> None:
    asked = {rule.__name__ for rule in (*RULES, *WARNINGS)}

    assert set(module.__all__) - asked == set()


@pytest.mark.parametrize("rule", [*RULES, *WARNINGS], ids=lambda rule: str(rule.__name__))
def test_rule_says_where_it_comes_from(rule: Rule) -> None:
    assert "Source: " in (rule.__doc__ or "")


class _Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, rng: np.random.Generator) -> None:
        self.batches = iter(rng.normal(1, 1, (8, 1, 3, 8, 8)).astype(np.float32))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"x": batch}


@pytest.fixture(scope="module")
def default_problems(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what is wrong with the network after `quantize_static` with its defaults."""
    folder, rng = tmp_path_factory.mktemp("ort"), np.random.default_rng(20)
    proto = onnx.parser.parse_model(NETWORK)
    while len(proto.graph.input) > 1:  # all but the crop are weights
        weight = proto.graph.input.pop()
        shape = [dim.dim_value for dim in weight.type.tensor_type.shape.dim]
        array = rng.normal(0, 1, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, weight.name))
    options = ort.SessionOptions()  # optimised first, as its documentation advises
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "float.onnx")
    ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    logging.disable(logging.WARNING)  # it does not see that this was done
    quantize_static(folder / "float.onnx", folder / "int8.onnx", _Calibration(rng))
    logging.disable(logging.NOTSET)
    return rule_problems(ir.load(folder / "int8.onnx"))


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param("has a zero point of", id="zero-points"),
        pytest.param("is INT32, a bias", id="int32-biases"),
        pytest.param("Conv `c1` has a quantised bias", id="biases"),
        pytest.param("Tanh `t` reads DequantizeLinear", id="tanh"),
        pytest.param("LayerNormalization `y_QuantizeLinear_Input` reads", id="layer-norm"),
        pytest.param("Softmax `m` reads DequantizeLinear", id="softmax"),
        pytest.param("opset import 'com.microsoft' is not ONNX's", id="domains"),
        pytest.param("has no QuantizeLinear before it", id="weights-in-int8"),
    ],
)
def test_rules_refuse_default_of_onnx_runtime(default_problems: list[str], reason: str) -> None:
    assert [problem for problem in default_problems if reason in problem] != []
