"""Rules on the file: a graph that breaks each, and one that does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from facealign.export.tensorrt.files import (
    external_data,
    foreign_domains,
    local_functions,
    opset_beyond_oldest_release,
    opset_range,
)

Find = Callable[..., list[str]]
RELU = "g (float[1] x) => (float[1] y) { y = Relu(x) }"
FUNCTION = """
<ir_version: 9, opset_import: ["": 19, "local": 1]>
g (float[1] x) => (float[1] y) { [call] y = local.twice(x) }
<domain: "local", opset_import: ["": 19]>
twice (x) => (y) { y = Add(x, x) }
"""


@pytest.mark.parametrize("opset", [8, 25])
def test_opset_range_finds_opset(find: Find, opset: int) -> None:
    assert find(opset_range, RELU, opset=opset) == [
        f"opset must be 9 to 24, got {opset}; export with opset 19"
    ]


@pytest.mark.parametrize("opset", [9, 19, 24])
def test_opset_range_allows_opset(find: Find, opset: int) -> None:
    assert find(opset_range, RELU, opset=opset) == []


def test_opset_beyond_oldest_release_warns(find: Find) -> None:
    assert find(opset_beyond_oldest_release, RELU, opset=21) == [
        "opset 21 is beyond TensorRT 10.3 of JetPack 6, which reads 20; use opset 19"
    ]


@pytest.mark.parametrize("opset", [19, 20])
def test_opset_beyond_oldest_release_is_silent(find: Find, opset: int) -> None:
    assert find(opset_beyond_oldest_release, RELU, opset=opset) == []


def test_foreign_domains_finds_import_and_node() -> None:
    model = ir.from_proto(onnx.parser.parse_model(FUNCTION))

    assert [str(problem) for problem in foreign_domains(model)] == [
        "opset import 'local' is not ONNX's; take it off",
        (
            "twice `call` is of domain 'local', which TensorRT ignores: it takes the built-in "
            "twice or a plugin; write it in standard operators"
        ),
    ]


def test_foreign_domains_allows_standard_operators(find: Find) -> None:
    assert find(foreign_domains, RELU) == []


def test_local_functions_finds_function() -> None:
    model = ir.from_proto(onnx.parser.parse_model(FUNCTION))

    assert [str(problem) for problem in local_functions(model)] == [
        (
            "local function local::twice is taken or not by release of TensorRT, and no rule sees "
            "into it; inline it"
        )
    ]


def test_local_functions_allows_none(find: Find) -> None:
    assert find(local_functions, RELU) == []


@pytest.fixture
def biased() -> onnx.ModelProto:
    text = '<ir_version: 9, opset_import: ["": 19]>\n'
    text += "g (float[2] x) => (float[2] y) <float[2] bias = {1, 2}> { y = Add(x, bias) }"
    proto = onnx.parser.parse_model(text)
    proto.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.ones(2, np.float32), "bias")
    )
    return proto


def test_external_data_finds_weight_without_reading_it(biased: onnx.ModelProto) -> None:
    onnx.external_data_helper.set_external_data(biased.graph.initializer[0], "no-such-file")
    biased.graph.initializer[0].ClearField("raw_data")

    assert [str(problem) for problem in external_data(ir.from_proto(biased))] == [
        "weight `bias` lies in another file; save the model as one file"
    ]


def test_external_data_allows_weight_in_file(biased: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(biased, tmp_path / "one.onnx")

    assert [str(problem) for problem in external_data(ir.load(tmp_path / "one.onnx"))] == []
