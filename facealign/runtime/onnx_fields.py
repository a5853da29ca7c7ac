"""The fields of an ONNX file, read off its bytes: a device has no onnx.

Source: onnx.proto, whose field numbers never change; the encoding is protobuf's.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["fields", "messages", "texts"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

_Field = tuple[int, int | memoryview]


def fields(message: memoryview) -> Iterator[_Field]:
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


def messages(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the fields of that number that have a length: messages, texts and bytes.

    Raises:
        IndexError: If the message is cut off, or none.
    """
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def texts(message: memoryview, number: int) -> list[bytes]:
    """Return the texts of that number, as they are encoded.

    Raises:
        IndexError: If the message is cut off, or none.
    """
    return [bytes(value) for value in messages(message, number)]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
