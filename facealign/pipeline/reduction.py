"""What a reduced precision may cost, and what came of an attempt at one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from facealign.calibration import Search, Trial
from facealign.export.passes.quantize import Block
from facealign.export.precision_rules import Precision
from facealign.pipeline.judge import Judgement

__all__ = ["Limits", "Reduction"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reduced graph may cost; None where there is no limit.

    Attributes:
        p99_px: 99th percentile of the distance to FP32, crop pixels.
        change_points: Change of NME, points of percent; see `Judgement`.
    """

    p99_px: float | None = None
    change_points: float | None = None

    def share_used(self, found: Judgement) -> float:
        """Return the largest cost as a fraction of its limit; what fits is at most 1."""
        pairs = ((found.p99_px, self.p99_px), (found.change_points, self.change_points))
        return max(_fraction(cost, limit) for cost, limit in pairs if limit is not None)


def _fraction(cost: float, limit: float) -> float:
    if math.isnan(cost):
        return math.inf  # `max` would pass over a NaN that is not its first argument
    if limit > 0:
        return cost / limit
    return 0.0 if cost <= 0 else math.inf


@dataclass(frozen=True, slots=True)
class Reduction:
    """What came of an attempt at a reduced precision.

    Attributes:
        precision: ``fp16``, ``int8`` or ``int8-cpu``.
        limits: What it might cost.
        blocks: All that could be reduced.
        search: What was tried, and what of it was chosen.
        judgements: Of each trial, by the blocks that it left as they were.
        graph: The graph that may ship; None if every share costs too much.
        kept: Names of values that are FP32 because FP16 cannot hold them.
        speeds: Of each trial of INT8, by the blocks that it left: how many times as fast as FP32 it
            is in ONNX Runtime, here and with one crop.
        made_by: The quantiser, with its version if it is not ours.
        alone: Of each block, with nothing but that block reduced, on the first faces; empty if
            everything fitted at once.
    """

    precision: Precision
    limits: Limits
    blocks: tuple[Block, ...]
    search: Search
    judgements: Mapping[tuple[str, ...], Judgement]
    graph: ir.Model | None
    kept: tuple[str, ...] = ()
    speeds: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    made_by: str = "facealign"
    alone: Mapping[str, Judgement] = field(default_factory=dict)

    @property
    def chosen(self) -> Trial:
        """What was chosen.

        Raises:
            ValueError: If the precision was refused.
        """
        if self.search.chosen is None:
            raise ValueError(f"{self.precision} was refused")
        return self.search.chosen

    @property
    def shipped(self) -> ir.Model:
        """`graph` of what may ship.

        Raises:
            ValueError: If the precision was refused.
        """
        if self.graph is None:
            raise ValueError(f"{self.precision} was refused")
        return self.graph

    def nodes_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the products in blocks."""
        return tuple(node for each in self.blocks if each.name in names for node in each.nodes)
