"""How facts that several commands show read to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["parity_text"]


def parity_text(parity: Mapping[str, Any]) -> str:
    """Return how far a graph is from its module, and what it may be."""
    return (
        f"max {parity['max_px']:.4f} px, p99 {parity['p99_px']:.4f} px "
        f"over {parity['crop_count']} crops (bar {parity['bar_px']:g} px)"
    )
