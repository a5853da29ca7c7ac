"""From the verified FP32 graph to FP16 and INT8 that an accuracy budget has signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.calibration import Loss, largest_share
from facealign.export.graph import bytes_from_graph, node_name
from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.every_rounding import with_every_rounding
from facealign.export.passes.precision.ranges import audit_ranges
from facealign.export.passes.quantize import Block, blocks_of, quantize
from facealign.export.precision_rules import Precision
from facealign.pipeline.judge import Judge, Judgement, RunCrops
from facealign.pipeline.progress import Stage
from facealign.pipeline.reduction import Limits, Reduction
from facealign.pipeline.run_crops import graph_runner
from facealign.runtime.ort_engine import run_graph

__all__ = [
    "HALF_BAR_PX",
    "HALF_BUDGET_POINTS",
    "LEAST_INT8_SHARE",
    "reduce_to_half",
    "reduce_to_int8",
    "search_int8",
]

HALF_BAR_PX = 0.1  # p99; of the table in DESIGN.md, "Verification"
HALF_BUDGET_POINTS = 0.01  # likewise
# Below half of the work in INT8 there is nothing left that FP16 alone would not give.
LEAST_INT8_SHARE = 0.5
_FACES_TO_ORDER = 32  # blocks by their sensitivity; what is chosen is judged on all faces


@dataclass(frozen=True, slots=True)
class _Trials:
    """Builds graphs with some blocks left as they are, and judges them."""

    build: Callable[[tuple[str, ...]], ir.Model]
    run: Callable[[ir.Model], RunCrops]
    limits: Limits
    judge: Judge

    def search(
        self, precision: Precision, blocks: tuple[Block, ...], *, least_share: float, stage: Stage
    ) -> Reduction:
        """Return what came of the search for the largest share within the limits."""
        judgements: dict[tuple[str, ...], Judgement] = {}
        alone: dict[str, Judgement] = {}
        few = self.judge.first(_FACES_TO_ORDER)

        def measure(left: tuple[str, ...]) -> Loss:
            judgements[left] = self.judge.judge(self.run(self.build(left)))
            return loss(judgements[left])

        def measure_alone(left: tuple[str, ...]) -> Loss:
            (name,) = (block.name for block in blocks if block.name not in left)
            alone[name] = few.judge(self.run(self.build(left)))
            return loss(alone[name])

        def loss(judgement: Judgement) -> Loss:
            stage.advance(1, total=2 * len(blocks))
            return Loss(self.limits.share_used(judgement), judgement.drift_percent)

        search = largest_share(
            blocks,
            measure,
            budget=1.0,
            least_share=least_share,
            measure_alone=measure_alone,
        )
        built = None if search.chosen is None else self.build(search.chosen.left)
        return Reduction(precision, self.limits, blocks, search, judgements, built, alone=alone)


def reduce_to_half(
    graph: ir.Model, judge: Judge, *, hard_crops: NDArray[np.uint8], stage: Stage
) -> Reduction:
    """Return the FP16 graph with as few blocks in FP32 as the bar of FP16 asks for.

    Args:
        graph: FP32, verified.
        judge: Of held-out crops.
        hard_crops: ``(K, S, S, 3)`` uint8 BGR; values too large for FP16 on any of them stay FP32.
        stage: Told what is measured.
    """
    kept = tuple(finding.value for finding in audit_ranges(graph, hard_crops, run=run_graph))
    blocks = blocks_of(graph)
    given = _values_of_blocks(graph, blocks)
    is_labelled = judge.errors_percent is not None
    trials = _Trials(
        build=lambda left: half_precision(
            graph, keep=[*kept, *(value for name in left for value in given[name])]
        ),
        run=lambda typed: graph_runner(bytes_from_graph(with_every_rounding(typed))),
        limits=Limits(HALF_BAR_PX, HALF_BUDGET_POINTS if is_labelled else None),
        judge=judge,
    )
    return replace(trials.search("fp16", blocks, least_share=0, stage=stage), kept=kept)


def reduce_to_int8(
    graph: ir.Model,
    ranges: Mapping[str, float],
    judge: Judge,
    *,
    budget_points: float,
    stage: Stage,
) -> Reduction:
    """Return the graph with the largest share of INT8 that the budget allows, for TensorRT.

    Args:
        graph: FP32, or FP16 where that is what is not quantised.
        ranges: By tensor.
        judge: Of held-out crops.
        budget_points: Largest change of NME.
        stage: Told what is measured.
    """
    blocks = blocks_of(graph)
    nodes = {block.name: block.nodes for block in blocks}
    return search_int8(
        # By node: to find out what is in a block takes as long as to quantise.
        lambda left: quantize(graph, ranges, leave_float=[n for name in left for n in nodes[name]]),
        blocks,
        judge,
        budget_points=budget_points,
        stage=stage,
    )


def search_int8(
    build: Callable[[tuple[str, ...]], ir.Model],
    blocks: tuple[Block, ...],
    judge: Judge,
    *,
    budget_points: float,
    stage: Stage,
) -> Reduction:
    """Return the largest share of INT8 of any quantiser that the budget allows, for TensorRT.

    It is judged by what its Q/DQ pairs say, not by the integer kernels of this CPU.

    Args:
        build: From names of blocks that stay float to a graph with all others in INT8.
        blocks: All that the quantiser takes.
        judge: Of held-out crops.
        budget_points: Largest change of NME.
        stage: Told what is measured.
    """
    trials = _Trials(
        build=build,
        run=lambda quantized: graph_runner(
            bytes_from_graph(with_every_rounding(quantized)), integer_kernels=False
        ),
        limits=Limits(change_points=budget_points),
        judge=judge,
    )
    return trials.search("int8", blocks, least_share=LEAST_INT8_SHARE, stage=stage)


def _values_of_blocks(graph: ir.Model, blocks: tuple[Block, ...]) -> dict[str, list[str]]:
    """Return by block the names of all that is computed from its first product to the next's.

    With every block left as it was, the whole graph is.
    """
    starts = {block.nodes[0]: block.name for block in blocks}
    values: dict[str, list[str]] = {block.name: [] for block in blocks}
    current = blocks[0].name if blocks else ""
    for node in graph.graph if blocks else ():
        current = starts.get(node_name(node), current)
        values[current] += [str(value.name) for value in node.outputs]
    return values
