"""Dataclasses to JSON and back, strictly, by the standard library: a device may have no more."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

__all__ = ["canonical_json", "plain_from_json", "record_from_plain", "sorted_json"]

_Record = TypeVar("_Record")


def sorted_json(value: Mapping[str, object]) -> bytes:
    """Return indented ASCII JSON with sorted keys; equal values give equal bytes."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def canonical_json(record: object) -> bytes:
    """Return a dataclass as `sorted_json` writes it."""
    return sorted_json(asdict(record))  # type: ignore[call-overload]  # any dataclass


def plain_from_json(data: bytes) -> dict[str, object]:
    """Return the object in `data`, which must be written exactly as `sorted_json` writes it.

    Raises:
        ValueError: If it is not: other spaces, a key twice, NaN, or no object at all.
    """
    try:
        value: object = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict) or sorted_json(value) != data:
        raise ValueError("it is not written as facealign writes it")
    return value


def record_from_plain(kind: type[_Record], value: object) -> _Record:
    """Return the dataclass, with exactly its fields, each of its type.

    Raises:
        ValueError: If a field is missing, unknown or of another type.
    """
    return cast("_Record", _converted(kind, value, where=kind.__name__))


def _converted(kind: object, value: object, *, where: str) -> object:
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, where=where)
    origin = get_origin(kind)
    convert = _CONVERTERS.get(origin, _scalar)
    return convert(kind, value, where)


def _dataclass(kind: type, value: object, *, where: str) -> object:
    names = {field.name for field in fields(kind)}
    if not isinstance(value, dict) or set(value) != names:
        raise ValueError(f"`{where}` must have exactly the fields {sorted(names)}")
    hints = get_type_hints(kind)
    return kind(
        **{
            name: _converted(hints[name], value[name], where=f"{where}.{name}")
            for name in sorted(names)
        }
    )


def _union(kind: object, value: object, where: str) -> object:
    """Convert to the option that the JSON type picks: null, or number, text, object."""
    options = get_args(kind)
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    exact = [option for option in rest if type(value) is option]
    return _converted((exact or rest)[0], value, where=where)


def _tuple(kind: object, value: object, where: str) -> object:
    if not isinstance(value, list):
        raise ValueError(f"`{where}` must be a list")  # noqa: TRY004  # one error for all of it
    item = get_args(kind)[0]
    return tuple(_converted(item, each, where=where) for each in value)


def _literal(kind: object, value: object, where: str) -> object:
    if not isinstance(value, str) or value not in get_args(kind):
        raise ValueError(f"`{where}` cannot be {value!r}")
    return value


def _scalar(kind: object, value: object, where: str) -> object:
    # By `type`, as True is an int.
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"`{where}` cannot be {value!r}")
    return value


_Converter = Callable[[object, object, str], object]
_CONVERTERS: dict[object, _Converter] = {
    types.UnionType: _union,
    Union: _union,
    tuple: _tuple,
    Literal: _literal,
}
