"""Which types a graph asks for, read off its bytes: a device has no onnx.

Only TensorRT before 11 without strong typing needs to be told.
"""

from __future__ import annotations

from dataclasses import dataclass

from facealign.errors import IntegrityError
from facealign.runtime.onnx_fields import fields, messages, texts

__all__ = ["GraphTypes", "graph_types"]

# Field numbers and values of onnx.proto, which never change.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR = 1, 3, 5
_TENSOR_TYPE = 2
_FLOAT16 = 10
_QUANTIZE = b"QuantizeLinear"
_CAST_TO = b"to"


@dataclass(frozen=True, slots=True)
class GraphTypes:
    """Whether there are Q/DQ pairs, and FP16 tensors."""

    is_quantized: bool
    has_fp16: bool


def graph_types(graph: bytes) -> GraphTypes:
    """Return what an ONNX graph asks for.

    Raises:
        IntegrityError: If it is no protobuf message.
    """
    try:
        return _types(memoryview(graph))
    except IndexError as error:
        raise IntegrityError("the graph is cut off; copy the bundle again") from error


def _types(model: memoryview) -> GraphTypes:
    is_quantized = has_fp16 = False
    for graph in messages(model, _MODEL_GRAPH):
        for node in messages(graph, _GRAPH_NODE):
            operators = texts(node, _NODE_OPERATOR)
            is_quantized |= _QUANTIZE in operators
            has_fp16 |= any(_is_fp16(each) for each in messages(node, _NODE_ATTRIBUTE))
        for tensor in messages(graph, _GRAPH_INITIALIZER):
            has_fp16 |= (_TENSOR_TYPE, _FLOAT16) in fields(tensor)
    return GraphTypes(is_quantized, has_fp16)


def _is_fp16(attribute: memoryview) -> bool:
    """Return whether this is the type of a Cast or a constant, and FP16."""
    name = b"".join(texts(attribute, _ATTRIBUTE_NAME))
    if name == _CAST_TO:
        return (_ATTRIBUTE_INTEGER, _FLOAT16) in fields(attribute)
    tensors = messages(attribute, _ATTRIBUTE_TENSOR)
    return any((_TENSOR_TYPE, _FLOAT16) in fields(tensor) for tensor in tensors)
