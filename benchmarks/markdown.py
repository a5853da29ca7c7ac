"""Tables in Markdown, and how figures are written in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["interval", "network_title", "percent", "rounded", "table"]

_TITLES = {
    "spiga_98": "SPIGA, 98 landmarks",
    "slpt_98_dec6": "SLPT, 6 layers",
    "slpt_98_dec12": "SLPT, 12 layers",
    "sdfl_resnet34_lgrl": "SDFL, ResNet-34 with a learned graph",
    "sdfl_resnet34_scc": "SCC, ResNet-34",
    "propnet_98": "PropNet, 98 landmarks",
    "demo": "the demo",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table, with a line break at its end."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"|{'|'.join(_cell(cell) for cell in line)}|\n" for line in lines)


def _cell(text: str) -> str:
    return text if text == "---" else f" {text} " if text else " "


def network_title(name: str) -> str:
    """Return what README calls a model of the benchmarks."""
    return _TITLES.get(name, f"`{name}`")


def rounded(value: float, *, digits: int = 2, most_decimals: int = 3) -> str:
    """Return a figure with some significant digits, or as many as the decimals allow."""
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{min(max(decimals, 0), most_decimals)}f}"


def interval(ratio: Sequence[float]) -> str:
    """Return a ratio with its 95 % interval."""
    value, low, high = ratio
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def percent(share: float) -> str:
    """Return a share of 1 in whole percent."""
    return f"{100 * share:.0f} %"
