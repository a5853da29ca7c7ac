"""Every rule of the contract: a graph that breaks it, and one that comes near and does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from facealign.errors import GraphContractError
from facealign.export.lint import check_contract, contract_problems
from facealign.spec import BATCH, TensorSpec

Parse = Callable[[str], ir.Model]

IMAGE = TensorSpec("image", "uint8", (BATCH, 4, 4, 3))
OUTPUTS = (TensorSpec("landmarks", "float32", (BATCH, 4, 2)),)
GRAPH = """
g (uint8[B, 4, 4, 3] image) => (float[B, 4, 2] landmarks)
<int64[1] from = {0}, int64[1] to = {2}, int64[1] last = {-1}, int64[1] row = {2}>
{
  grey = Cast<to = 1>(image)
  mean = ReduceMean<keepdims = 0>(grey, row)
  landmarks = Slice(mean, from, to, last)
  %s
}
"""


@pytest.fixture
def model(model_from_text: Parse) -> ir.Model:
    return model_from_text(GRAPH % "")


def with_node(
    model: ir.Model,
    op_type: str,
    *,
    dtype: ir.DataType = ir.DataType.FLOAT,
    domain: str = "",
    **attributes: int | str,
) -> ir.Model:
    """Return `model` with one node more, on the landmarks twice; nothing reads it."""
    landmarks = model.graph.outputs[0]
    node = ir.node(
        op_type, [landmarks, landmarks], attributes=attributes, domain=domain, name="extra"
    )
    node.outputs[0].name, node.outputs[0].dtype = "extra_0", dtype
    node.outputs[0].shape = landmarks.shape
    model.graph.append(node)
    return model


def test_contract_problems_finds_none_in_good_graph(model: ir.Model) -> None:
    assert contract_problems(model, IMAGE, OUTPUTS) == []


def test_check_contract_passes_good_graph(model: ir.Model) -> None:
    check_contract(model, IMAGE, OUTPUTS)


def test_check_contract_lists_every_problem(model: ir.Model) -> None:
    model.graph.inputs[0].name = "input"
    model.graph.outputs[0].name = "output"

    with pytest.raises(
        GraphContractError,
        match=r"the graph breaks its contract: inputs must be \['image'\], got \['input'\]; "
        r"outputs must be \['landmarks'\], got \['output'\]",
    ):
        check_contract(model, IMAGE, OUTPUTS)


@pytest.mark.parametrize(
    ("op_type", "why"),
    [
        ("If", "control flow breaks TensorRT 11.1 and CUDA graphs"),
        ("Loop", "control flow; unroll it"),
        ("Scan", "control flow; unroll it"),
        ("NonZero", "its output shape depends on data; use a constant Gather"),
        ("Unique", "its output shape depends on data"),
        ("Compress", "its output shape depends on data; use a constant Gather"),
        ("ScatterND", "an in-place write; build the tensor with Concat"),
        ("ScatterElements", "an in-place write; build the tensor with Concat"),
        ("Einsum", "permute the weights once and use MatMul"),
        ("AffineGrid", "only from opset 20; write the grid as arithmetic"),
        ("RandomNormal", "training left in the graph"),
        ("RandomUniform", "training left in the graph"),
        ("Dropout", "training left in the graph"),
    ],
)
def test_contract_problems_finds_forbidden_operator(
    model: ir.Model, op_type: str, why: str
) -> None:
    problems = contract_problems(with_node(model, op_type), IMAGE, OUTPUTS)

    assert problems == [f"{op_type} `extra` is not allowed: {why}"]


@pytest.mark.parametrize("op_type", ["Gather", "Where", "MatMul", "Concat", "Clip"])
def test_contract_problems_allows_operator(model: ir.Model, op_type: str) -> None:
    assert contract_problems(with_node(model, op_type), IMAGE, OUTPUTS) == []


def test_contract_problems_finds_custom_operator(model: ir.Model) -> None:
    problems = contract_problems(with_node(model, "Gelu", domain="com.me"), IMAGE, OUTPUTS)

    assert problems == ["Gelu `extra` is a custom operator of 'com.me'"]


def test_contract_problems_allows_spelled_out_standard_domain(model: ir.Model) -> None:
    assert contract_problems(with_node(model, "Add", domain="ai.onnx"), IMAGE, OUTPUTS) == []


def test_contract_problems_finds_foreign_domain_without_node(model: ir.Model) -> None:
    model.graph.opset_imports["com.me"] = 1

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == ["only standard operators are allowed, got domain 'com.me'"]


@pytest.mark.parametrize("opset", [17, 18, 20])
def test_contract_problems_finds_other_opset(model: ir.Model, opset: int) -> None:
    model.graph.opset_imports[""] = opset

    problem, *others = contract_problems(model, IMAGE, OUTPUTS)

    assert problem.startswith(f"opset must be 19, got {opset}; TensorRT")
    assert others == []


def test_contract_problems_finds_local_function(model: ir.Model) -> None:
    body = ir.Graph([], [], nodes=[], opset_imports={"": 19})
    function = ir.Function("local", "twice", graph=body, attributes=[])
    model.functions[function.identifier()] = function

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == ["no local functions are allowed, got 'twice'"]


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_contract_problems_finds_grid_sample_spelled_as_in_opset_20(
    model: ir.Model, mode: str
) -> None:
    problems = contract_problems(with_node(model, "GridSample", mode=mode), IMAGE, OUTPUTS)

    assert problems == [
        f"GridSample `extra` has mode {mode!r}; TensorRT reads it as nearest, so write 'bilinear'"
    ]


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_contract_problems_allows_grid_sample_of_opset_16(model: ir.Model, mode: str) -> None:
    assert contract_problems(with_node(model, "GridSample", mode=mode), IMAGE, OUTPUTS) == []


def test_contract_problems_allows_grid_sample_that_leaves_its_mode_out(model: ir.Model) -> None:
    assert contract_problems(with_node(model, "GridSample"), IMAGE, OUTPUTS) == []


@pytest.mark.parametrize(
    "dtype", [pytest.param(ir.DataType.FLOAT16, id="half"), ir.DataType.BFLOAT16]
)
def test_contract_problems_finds_grid_in_half_precision(
    model: ir.Model, dtype: ir.DataType
) -> None:
    with_node(model, "GridSample")
    grid = ir.Value(name="grid", type=ir.TensorType(dtype), shape=ir.Shape([1, 2, 2, 2]))
    model.graph[-1].replace_input_with(1, grid)

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == [f"GridSample `extra` has a {dtype.name} grid; coordinates stay in FP32"]


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT16, ir.DataType.BFLOAT16])
def test_contract_problems_finds_cast_to_half_precision(
    model: ir.Model, dtype: ir.DataType
) -> None:
    problems = contract_problems(with_node(model, "Cast", dtype=dtype), IMAGE, OUTPUTS)

    assert problems == [f"Cast `extra` goes to {dtype.name} in a graph that is named fp32"]


def test_contract_problems_allows_cast_to_integers(model: ir.Model) -> None:
    with_node(model, "Cast", dtype=ir.DataType.INT64)

    assert contract_problems(model, IMAGE, OUTPUTS) == []


@pytest.mark.parametrize("dtype", [ir.DataType.DOUBLE, ir.DataType.COMPLEX64])
def test_contract_problems_finds_type_that_tensorrt_lacks(
    model: ir.Model, dtype: ir.DataType
) -> None:
    problems = contract_problems(with_node(model, "Add", dtype=dtype), IMAGE, OUTPUTS)

    assert problems == [f"Add `extra` gives {dtype.name}; TensorRT has no such type"]


def test_contract_problems_finds_initializer_in_double_precision(model: ir.Model) -> None:
    tensor = ir.tensor(np.zeros(3), name="wide")
    value = ir.Value(name="wide", const_value=tensor, type=ir.TensorType(tensor.dtype))
    model.graph.initializers.add(value)

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == ["initializer `wide` is DOUBLE; TensorRT has no such type"]


def test_contract_problems_finds_batch_norm_in_training(model: ir.Model) -> None:
    with_node(model, "BatchNormalization", training_mode=1)

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == [
        "BatchNormalization `extra` is in training mode; call `eval()` before the trace"
    ]


def test_contract_problems_allows_batch_norm_that_infers(model: ir.Model) -> None:
    assert contract_problems(with_node(model, "BatchNormalization"), IMAGE, OUTPUTS) == []


def test_contract_problems_finds_shape_that_was_not_inferred(model: ir.Model) -> None:
    with_node(model, "Add")
    model.graph[-1].outputs[0].shape = None

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == ["`extra_0` of Add `extra` has no inferred shape"]


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        pytest.param([2, 4, 4, 3], "(2, 4, 4, 3)", id="fixed-batch"),
        pytest.param(["B", 3, 4, 4], "('B', 3, 4, 4)", id="channels-first"),
        pytest.param(["N", 4, 4, 3], "('N', 4, 4, 3)", id="batch-of-another-name"),
        pytest.param(["B", "H", "W", 3], "('B', 'H', 'W', 3)", id="any-size"),
    ],
)
def test_contract_problems_finds_input_of_another_shape(
    model: ir.Model, shape: list[int | str], got: str
) -> None:
    model.graph.inputs[0].shape = ir.Shape(shape)

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == [f"input `image` must be ('B', 4, 4, 3), got {got}; `B` is dynamic"]


@pytest.mark.parametrize("dtype", [ir.DataType.FLOAT16, ir.DataType.FLOAT, ir.DataType.INT8])
def test_contract_problems_finds_input_of_another_type(model: ir.Model, dtype: ir.DataType) -> None:
    model.graph.inputs[0].dtype = dtype

    problems = contract_problems(model, IMAGE, OUTPUTS)

    assert problems == [f"input `image` must be uint8, got {dtype}"]


def test_contract_problems_finds_outputs_in_another_order(model: ir.Model) -> None:
    score = TensorSpec("score", "float32", (BATCH, 4, 2))
    with_node(model, "Add")
    model.graph[-1].outputs[0].name = "score"
    model.graph.outputs.insert(0, model.graph[-1].outputs[0])

    problems = contract_problems(model, IMAGE, (*OUTPUTS, score))

    assert problems == ["outputs must be ['landmarks', 'score'], got ['score', 'landmarks']"]
