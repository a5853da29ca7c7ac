from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from facealign.errors import IntegrityError
from facealign.runtime.tensorrt.build_graph_types import GraphTypes, graph_types

_FP16 = numpy_helper.from_array(np.zeros((2, 3), np.float16), "half")
_FP32 = numpy_helper.from_array(np.zeros((200, 3), np.float32), "float")
PARTS: dict[str, tuple[list[object], list[object], GraphTypes]] = {
    "nothing": ([], [_FP32], GraphTypes(is_quantized=False, has_fp16=False)),
    "an initializer": ([], [_FP32, _FP16], GraphTypes(is_quantized=False, has_fp16=True)),
    "a cast": (
        [helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT16)],
        [],
        GraphTypes(is_quantized=False, has_fp16=True),
    ),
    "a cast to float": (
        [helper.make_node("Cast", ["a"], ["b"], to=TensorProto.FLOAT)],
        [],
        GraphTypes(is_quantized=False, has_fp16=False),
    ),
    "a constant": (
        [helper.make_node("Constant", [], ["b"], value=_FP16)],
        [],
        GraphTypes(is_quantized=False, has_fp16=True),
    ),
    "an axis of 10": (
        [helper.make_node("Softmax", ["a"], ["b"], axis=10, name="DequantizeLinear")],
        [],
        GraphTypes(is_quantized=False, has_fp16=False),
    ),
    "a pair": (
        [
            helper.make_node("QuantizeLinear", ["a", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["b"]),
        ],
        [_FP32],
        GraphTypes(is_quantized=True, has_fp16=False),
    ),
}


def _model(nodes: list[object], initializers: list[object]) -> bytes:
    graph = helper.make_graph(nodes, "g", [], [], initializers)  # type: ignore[arg-type]  # of onnx
    return bytes(helper.make_model(graph, producer_version="x" * 300).SerializeToString())


@pytest.mark.parametrize(("nodes", "initializers", "types"), PARTS.values(), ids=PARTS.keys())
def test_graph_types_reads_what_onnx_wrote(
    nodes: list[object], initializers: list[object], types: GraphTypes
) -> None:
    assert graph_types(_model(nodes, initializers)) == types


def test_graph_types_reads_a_real_graph(tiny_graph: bytes) -> None:
    assert graph_types(tiny_graph) == GraphTypes(is_quantized=False, has_fp16=False)


@pytest.mark.parametrize("data", [b"\x3a\xff", b"\x3a\x05ab", b"\xff", b"\x07"])
def test_graph_types_refuses_what_is_cut_off(data: bytes) -> None:
    with pytest.raises(IntegrityError, match="the graph is cut off; copy the bundle again"):
        graph_types(data)
