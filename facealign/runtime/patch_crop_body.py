"""The patch crop in an ONNX file: whether it is there, and the function body that it may lack.

`facealign export --patch-crop plugin` ships graphs whose patch crop has no body, as TensorRT from
9.0 to 10.6 takes a body even where our plugin is registered. ONNX Runtime has no such operator, so
facealign's engine adds the body, always the same bytes, behind the bytes of the file: protobuf
reads a message and what is appended to it as one. So there is one file, every node of it is what
parity and self-test run, and nothing that ships is left unmeasured but TensorRT's plugin, which
the self-test of a plan measures.
"""

from __future__ import annotations

from typing import Literal

from facealign.runtime.onnx_fields import fields, messages, texts

__all__ = ["PatchCropKind", "patch_crop_kind", "with_patch_crop_body"]

PatchCropKind = Literal["absent", "with_body", "without_body"]

_NAME, _DOMAIN = b"PatchCrop", b"facealign"
# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTION = 7, 8, 25
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODE, _NODE_OPERATOR, _NODE_DOMAIN = 1, 4, 7
_FUNCTION_NAME, _FUNCTION_DOMAIN = 1, 10
# A FunctionProto as `CustomPatchCropPass` adds it: up to its opset, a byte, and behind.
_BODY = (
    (
        b'\n\tPatchCrop"\x08features"\x04grid*\x07patches2\x10plugin_namespace2\x0eplugin_version:j'
        b'\n\x08features\n\x04grid\x12\x07patches"\nGridSample*\x13\n\x04mode"\x08bilinear\xa0\x01\x03'
        b'*\x18\n\x0cpadding_mode"\x05zeros\xa0\x01\x03*\x14\n\ralign_corners\x18\x00\xa0\x01\x02'
        b"J\x04\n\x00\x10"
    ),
    b"R\tfacealign",
)
_FUNCTION_KEY = b"\xca\x01"  # of field 25, with a length
_BITS = 7  # of a number in each byte of a varint
_LARGEST_OPSET = 1 << _BITS  # that is one byte; there is none above 30


def patch_crop_kind(graph: bytes) -> PatchCropKind:
    """Return whether an ONNX file has a patch crop, and its function body.

    Args:
        graph: ONNX; what is none has no patch crop.
    """
    try:
        return _kind(memoryview(graph))
    except IndexError:
        return "absent"


def with_patch_crop_body(graph: bytes) -> bytes:
    """Return the ONNX file with the body of the patch crop; the file itself if it lacks none."""
    opset = _opset(graph) if patch_crop_kind(graph) == "without_body" else 0
    if not 0 < opset < _LARGEST_OPSET:  # ONNX Runtime says what is wrong with such a file
        return graph
    body = bytes([opset]).join(_BODY)
    low, high = len(body) & 0x7F | 0x80, len(body) >> _BITS
    return graph + _FUNCTION_KEY + bytes([low, high]) + body


def _opset(graph: bytes) -> int:
    versions = (
        value
        for entry in messages(memoryview(graph), _MODEL_OPSET)
        if b"".join(texts(entry, _OPSET_DOMAIN)) in {b"", b"ai.onnx"}
        for number, value in fields(entry)
        if number == _OPSET_VERSION and isinstance(value, int)
    )
    return next(versions, 0)


def _kind(model: memoryview) -> PatchCropKind:
    imported = [texts(entry, _OPSET_DOMAIN) for entry in messages(model, _MODEL_OPSET)]
    if [_DOMAIN] not in imported:
        return "absent"
    is_there = any(
        (texts(node, _NODE_OPERATOR), texts(node, _NODE_DOMAIN)) == ([_NAME], [_DOMAIN])
        for graph in messages(model, _MODEL_GRAPH)
        for node in messages(graph, _GRAPH_NODE)
    )
    if not is_there:
        return "absent"
    bodies = messages(model, _MODEL_FUNCTION)
    named = ((texts(body, _FUNCTION_NAME), texts(body, _FUNCTION_DOMAIN)) for body in bodies)
    return "with_body" if ([_NAME], [_DOMAIN]) in named else "without_body"
