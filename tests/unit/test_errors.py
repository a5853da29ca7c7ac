from __future__ import annotations

import pytest

from facealign.errors import CalibrationError, first_of


def test_error_holds_every_item_that_its_line_abbreviates() -> None:
    error = CalibrationError("2 images are shared", items=(name for name in ("a", "b")))

    assert (str(error), error.items) == ("2 images are shared", ("a", "b"))


def test_error_has_no_items_if_its_line_says_it_all() -> None:
    assert CalibrationError("no crops").items == ()


@pytest.mark.parametrize(
    ("items", "expected"),
    [("", ""), ("abc", "`a`, `b`, `c`"), ("abcde", "`a`, `b`, `c` and 2 more")],
    ids=["none", "few", "many"],
)
def test_first_of_names_three_and_counts_the_others(items: str, expected: str) -> None:
    assert first_of(list(items)) == expected
