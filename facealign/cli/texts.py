"""How facts that several commands show read to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["parity_text", "verdict_text"]


def parity_text(parity: Mapping[str, Any]) -> str:
    """Return how far a graph is from its module, and what it may be."""
    bar_px = parity["bar_px"]
    bar = "no bar, it is judged on faces" if bar_px is None else f"bar {bar_px:g} px"
    return (
        f"max {parity['max_px']:.4f} px, p99 {parity['p99_px']:.4f} px "
        f"over {parity['crop_count']} crops ({bar})"
    )


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Return why a graph of reduced precision may ship."""
    budget, bar_px = verdict["budget_points"], verdict["bar_px"]
    allowed = [] if bar_px is None else [f"p99 at most {bar_px:g} px"]
    allowed += [] if budget is None else [f"at most {budget:+g} points"]
    kind = "distance to FP32" if verdict["nme_percent"] is None else "NME"
    left = len(verdict["left_float"])
    return (
        f"{100 * verdict['share']:.0f} % of the work"
        + (f", {left} blocks left as they were" if left else "")
        + f": p99 {verdict['p99_px']:.3f} px from FP32, {kind} {verdict['change_points']:+.3f} "
        f"points ({verdict['change_low_points']:+.3f} to {verdict['change_high_points']:+.3f}) on "
        f"{verdict['face_count']} crops of {verdict['faces']} (allowed: {', '.join(allowed)})"
    )
