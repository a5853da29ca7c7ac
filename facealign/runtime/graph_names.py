"""Whether a graph has the inputs and outputs that its bundle promises."""

from __future__ import annotations

from collections.abc import Sequence

from facealign.errors import GraphContractError

__all__ = ["check_names"]


def check_names(kind: str, expected: Sequence[str], found: Sequence[str]) -> None:
    """Check that names are there; more may be.

    Args:
        kind: ``input`` or ``output``, for the message.
        expected: Names that must be there.
        found: What the graph has.

    Raises:
        GraphContractError: If one is missing.
    """
    missing = [name for name in expected if name not in found]
    if missing:
        raise GraphContractError(
            f"the graph has no {kind} {missing[0]!r}, it has {list(found)}; compile the bundle "
            "again"
        )
