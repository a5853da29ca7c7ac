from __future__ import annotations

import pytest
from markdown import interval, network_title, percent, rounded, table


def test_table_is_markdown() -> None:
    text = table(("", "a"), [("b", "1"), ("c", "")])

    assert text == "| | a |\n|---|---|\n| b | 1 |\n| c | |\n"


@pytest.mark.parametrize(
    ("value", "most_decimals", "text"),
    [
        (0.0553, 3, "0.055"),
        (0.0771, 2, "0.08"),
        (0.5014, 3, "0.50"),
        (2.84, 3, "2.8"),
        (257.3, 3, "257"),
        (0.0, 3, "0"),
    ],
)
def test_figures_have_two_significant_digits(value: float, most_decimals: int, text: str) -> None:
    assert rounded(value, most_decimals=most_decimals) == text


def test_ratios_and_shares_are_written_as_in_readme() -> None:
    assert interval([1.9, 1.887, 2.0]) == "1.90 (1.89 to 2.00)"
    assert percent(0.787) == "79 %"


def test_a_network_without_a_title_goes_by_its_name() -> None:
    assert network_title("slpt_98_dec6") == "SLPT, 6 layers"
    assert network_title("sdfl_vgg16_lgrl") == "`sdfl_vgg16_lgrl`"
