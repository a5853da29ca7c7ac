"""Heads of SDFL; each file holds one."""

from __future__ import annotations

from facealign.models.backbone import Shapes
from facealign.models.families.sdfl.heads.dynamic import DYNAMIC
from facealign.models.families.sdfl.heads.fully_connected import FULLY_CONNECTED
from facealign.models.families.sdfl.heads.head import FoldedHead, Head, HeadSizes
from facealign.models.families.sdfl.heads.learned_graph import LEARNED_GRAPH

__all__ = ["HEADS", "FoldedHead", "Head", "HeadSizes", "head_by_name", "head_in"]

HEADS = (LEARNED_GRAPH, FULLY_CONNECTED, DYNAMIC)


def head_by_name(name: str) -> Head:
    """Return the head of that name."""
    return next(head for head in HEADS if head.name == name)


def head_in(shapes: Shapes) -> Head:
    """Return the head of which a state dict has most keys; the first of several."""
    return max(HEADS, key=lambda head: sum(key in shapes for key in head.keys) / len(head.keys))
