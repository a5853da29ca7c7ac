"""Write a protobuf message as text; strings are quoted, names of an enum are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Field", "Message", "Symbol", "prototext"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A value of an enum, by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """Fields in order; a repeated field is there once per value."""

    fields: tuple[Field, ...] = ()


Scalar = Symbol | str | bool | int | float
Field = tuple[str, Scalar | Message | Sequence[int]]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def prototext(message: Message) -> str:
    """Return the message as protobuf's text format, two spaces per level, with a final newline."""
    return "".join(f"{line}\n" for line in _lines(message, ""))


def _lines(message: Message, indent: str) -> Iterator[str]:
    for name, value in message.fields:
        if isinstance(value, Message):
            yield f"{indent}{name} {{"
            yield from _lines(value, f"{indent}  ")
            yield f"{indent}}}"
        else:
            yield f"{indent}{name}: {_text(value)}"


def _text(value: Scalar | Sequence[int]) -> str:
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return f"[{', '.join(map(str, value))}]"
