"""Which ONNX operators the importer of a TensorRT release has, and for which types.

The data are in ``operators.json``: per operator, a row at each release where it changes; null means
that there is no importer. ``constant`` names inputs that must be known when the engine is built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from facealign.targets.fact import Certainty, Fact

__all__ = ["Row", "first_table", "is_known", "operator_row", "table_names", "table_source"]

_FILE = Path(__file__).with_name("operators.json")


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of a release says of an operator.

    Attributes:
        types: Such as ``FP32`` and ``INT64``.
        restrictions: In the table's words; empty if there are none.
        constant: Names of inputs that must be constants.
    """

    types: tuple[str, ...]
    restrictions: str = ""
    constant: tuple[str, ...] = ()


def table_names() -> tuple[str, ...]:
    """Return the releases that there are tables of, oldest first."""
    return tuple(_data()["releases"])


def table_source(table: str, op_type: str | None = None) -> Fact[str]:
    """Return where a table, or its row of an operator, is from; the value is the table's name."""
    data = _data()
    other: str | None = data["other_sources"].get(op_type)
    if other is not None:
        return Fact(table, other, "unconfirmed")
    entry = data["releases"][table]
    return Fact(table, str(entry["source"]), cast(Certainty, entry["certainty"]))


def operator_row(table: str, op_type: str) -> Row | None:
    """Return the row of an operator, or nothing if there is no importer for it.

    Ask `is_known` first: of an operator that was not collected, nothing is said either way.

    Args:
        table: One of `table_names`.
        op_type: Of the standard operators.
    """
    rows: dict[str, Any] = _data()["operators"].get(op_type, {})
    names = table_names()
    valid = [name for name in names[: names.index(table) + 1] if name in rows]
    found = rows[valid[-1]] if valid else None
    if found is None:
        return None
    return Row(
        tuple(found["types"].split()),
        str(found.get("restrictions", "")),
        tuple(found.get("constant", "").split()),
    )


def is_known(op_type: str) -> bool:
    """Return whether the tables were searched for an operator."""
    return op_type in _data()["operators"]


def first_table(op_type: str) -> str | None:
    """Return the oldest table with an importer for an operator; nothing if none has."""
    return next((name for name in table_names() if operator_row(name, op_type)), None)


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return data
