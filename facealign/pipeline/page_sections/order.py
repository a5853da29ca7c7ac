"""The order of graphs on the page: the reference, then the others as the manifest has them."""

from __future__ import annotations

from collections.abc import Mapping

from facealign.bundle import GraphEntry
from facealign.pipeline.evaluation_result import REFERENCE

__all__ = ["reference_first"]


def reference_first(graphs: Mapping[str, GraphEntry]) -> list[tuple[str, GraphEntry]]:
    """Return name and graph of each, the reference first."""
    return sorted(graphs.items(), key=lambda item: item[0] != REFERENCE)
