"""Which types a graph asks for, read off its bytes: a device has no onnx.

Only TensorRT before 11 without strong typing needs to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facealign.errors import IntegrityError

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
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

_Field = tuple[int, int | memoryview]


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
    for graph in _messages(model, _MODEL_GRAPH):
        for node in _messages(graph, _GRAPH_NODE):
            operators = [bytes(name) for name in _messages(node, _NODE_OPERATOR)]
            is_quantized |= _QUANTIZE in operators
            has_fp16 |= any(_is_fp16(each) for each in _messages(node, _NODE_ATTRIBUTE))
        for tensor in _messages(graph, _GRAPH_INITIALIZER):
            has_fp16 |= (_TENSOR_TYPE, _FLOAT16) in _fields(tensor)
    return GraphTypes(is_quantized, has_fp16)


def _is_fp16(attribute: memoryview) -> bool:
    """Return whether this is the type of a Cast or a constant, and FP16."""
    name = b"".join(bytes(part) for part in _messages(attribute, _ATTRIBUTE_NAME))
    if name == _CAST_TO:
        return (_ATTRIBUTE_INTEGER, _FLOAT16) in _fields(attribute)
    tensors = _messages(attribute, _ATTRIBUTE_TENSOR)
    return any((_TENSOR_TYPE, _FLOAT16) in _fields(tensor) for tensor in tensors)


def _messages(message: memoryview, number: int) -> Iterator[memoryview]:
    for found, value in _fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[_Field]:
    """Yield number and value of every field that is a varint or has a length.

    Raises:
        IndexError: If the message is cut off, or none.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif wire == _BYTES:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise IndexError(at)
            yield number, message[at : at + size]
            at += size
        elif wire in _FIXED_SIZES:
            at += _FIXED_SIZES[wire]
        else:
            raise IndexError(at)


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
