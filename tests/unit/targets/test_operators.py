"""The operators that importers have, against the tables that were collected from them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from facealign.targets.operators import (
    Row,
    first_table,
    is_known,
    operator_row,
    table_names,
    table_source,
)
from tests.reference import FACTS, needs_facts

OURS = {"Sign"}  # read beside the collected tables, see `other_sources`


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FACTS / "onnx_support.json").read_text())
    return found


def plain(text: str) -> str:
    return text.replace("`", "")


@needs_facts
@pytest.mark.parametrize("table", table_names())
def test_rows_are_those_of_the_facts(facts: dict[str, Any], table: str) -> None:
    collected = {op for release in table_names() for op in facts[release]["ops"]}
    expected = {
        op: None
        if not (row := facts[table]["ops"].get(op, {"supported": False}))["supported"]
        else (tuple(row["dtypes"]), plain(row.get("restrictions", "")))
        for op in collected - {"NonMaxSuppression"}  # a column of 8.4 slipped there
    }

    found = {op: operator_row(table, op) for op in expected}

    assert {op: row and (row.types, row.restrictions) for op, row in found.items()} == expected


@needs_facts
@pytest.mark.parametrize("table", table_names())
def test_sources_are_those_of_the_facts(facts: dict[str, Any], table: str) -> None:
    because = table_source(table)

    assert because.source == facts[table]["source"]
    assert because.certainty == ("documented" if facts[table]["derived"] else "measured")


@pytest.mark.parametrize("table", table_names())
def test_constant_inputs_are_those_that_restrictions_name(table: str) -> None:
    operators = ("CumSum", "OneHot", "Pad", "ReduceMean", "Slice", "Squeeze", "TopK", "Unsqueeze")
    rows = [row for op in operators if (row := operator_row(table, op)) is not None]

    named = [
        re.findall(r"\b(axes|axis|depth|K)\b(?: input)? must be (?!less)", row.restrictions)
        for row in rows
    ]

    assert [list(row.constant) for row in rows] == named


@pytest.mark.parametrize(
    ("op_type", "first"),
    [
        ("GridSample", "8.5"),
        ("LayerNormalization", "8.6"),
        ("Gelu", "10.3"),
        ("Attention", "10.14"),
        ("Swish", "11.1"),
        ("DynamicQuantizeLinear", None),
    ],
)
def test_first_table_is_that_of_the_first_importer(op_type: str, first: str | None) -> None:
    assert first_table(op_type) == first


def test_operator_row_holds_until_the_next_change() -> None:
    assert operator_row("10.16", "GridSample") == Row(("FP32", "FP16"), "Input must be 4D input.")
    assert operator_row("11.2-11.4", "GridSample") == Row(
        ("FP32", "FP16", "BF16"), "4D, and 5D since 11.2"
    )


def test_operator_row_has_nothing_before_the_first_importer() -> None:
    assert operator_row("8.4", "GridSample") is None


def test_is_known_tells_what_was_searched_for() -> None:
    assert is_known("Swish")
    assert not is_known("TfIdfVectorizer")


@pytest.mark.parametrize("op_type", sorted(OURS))
def test_rows_that_were_not_collected_say_so(op_type: str) -> None:
    because = table_source("8.5", op_type)

    assert because.certainty == "unconfirmed"
    assert "6d0ab7be" in because.source
