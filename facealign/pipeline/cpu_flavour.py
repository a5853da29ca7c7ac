"""The INT8 graph for ONNX Runtime on x86, and how fast INT8 is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import onnx_ir as ir

from facealign.calibration import Loss, Search, Trial
from facealign.export.cost import macs_by_node
from facealign.export.graph import bytes_from_graph, node_name
from facealign.export.passes.quantize import blocks_of, for_cpu
from facealign.export.passes.quantize.foreign import quantized_products
from facealign.pipeline.judge import Judge
from facealign.pipeline.reduction import Reduction
from facealign.pipeline.run_crops import graph_runner, speed_ratios

__all__ = ["cpu_text", "if_faster", "int8_for_cpu", "with_speeds"]


def with_speeds(
    int8: Reduction, graph: ir.Model, ranges: Mapping[str, float], judge: Judge
) -> Reduction:
    """Return the attempt at INT8 with the speed of each trial in ONNX Runtime, refused or not.

    What is timed are the same products in the flavour for ONNX Runtime, which is slower than FP32
    on the file for TensorRT.

    Args:
        int8: Of `reduce_to_int8`.
        graph: FP32.
        ranges: By tensor.
        judge: Of held-out crops; the first is run.
    """
    lefts = [trial.left for trial in int8.search.trials]
    flavours = (bytes_from_graph(_flavour(int8, graph, ranges, left)) for left in lefts)
    crop = judge.held_out.crops[:1]
    return replace(
        int8,
        speeds=dict(zip(lefts, speed_ratios(bytes_from_graph(graph), flavours, crop), strict=True)),
    )


def int8_for_cpu(
    graph: ir.Model, ranges: Mapping[str, float], int8: Reduction, judge: Judge
) -> Reduction:
    """Return the flavour of an INT8 graph for ONNX Runtime on x86, judged with its own kernels.

    Args:
        graph: FP32.
        ranges: By tensor.
        int8: What was chosen for TensorRT; of the same products those are INT8 that `for_cpu` has
            a kernel for, so that its share may be smaller.
        judge: Of held-out crops.
    """
    left = int8.chosen.left
    flavour = _flavour(int8, graph, ranges, left)
    judgement = judge.judge(graph_runner(bytes_from_graph(flavour)))
    loss = Loss(int8.limits.share_used(judgement), judgement.drift_percent)
    trial = Trial(left, _share_in_int8(flavour, graph), loss)
    fits = loss.change <= 1
    return replace(
        int8,
        precision="int8-cpu",
        search=Search(trial if fits else None, (trial,)),
        judgements={trial.left: judgement},
        graph=flavour if fits else None,
        made_by="facealign",
    )


def if_faster(flavour: Reduction) -> Reduction:
    """Return the flavour, without its graph where FP32 is as fast."""
    return flavour if _speed(flavour) > 1 else replace(flavour, graph=None)


def cpu_text(flavour: Reduction) -> str:
    """Return in a few words what became of the flavour."""
    cost = next(iter(flavour.judgements.values())).change_points
    if flavour.search.chosen is None:
        return f"no file for ONNX Runtime, whose kernels on this CPU cost {cost:+.3f} points"
    if flavour.graph is None:
        return f"no file for ONNX Runtime, where it is {_speed(flavour):.2f} times as fast as FP32"
    return f"for ONNX Runtime {cost:+.3f} points, {_speed(flavour):.2f} times as fast as FP32"


def _flavour(
    int8: Reduction, graph: ir.Model, ranges: Mapping[str, float], left: tuple[str, ...]
) -> ir.Model:
    """Return the graph for ONNX Runtime with the products in INT8 that a trial has."""
    in_int8 = set(int8.nodes_of(tuple(b.name for b in int8.blocks if b.name not in left)))
    planned = [node for block in blocks_of(graph) for node in block.nodes]
    in_float = [node for node in planned if node not in in_int8]  # also what no block has
    return for_cpu(graph, ranges, leave_float=in_float)


def _share_in_int8(flavour: ir.Model, graph: ir.Model) -> float:
    """Return the multiply-accumulates in INT8 as a fraction of those of the FP32 graph."""
    in_int8, macs = quantized_products(flavour), macs_by_node(graph)
    done = sum(macs[str(n.outputs[0].name)] for n in graph.graph if node_name(n) in in_int8)
    return done / (sum(macs.values()) or 1)


def _speed(flavour: Reduction) -> float:
    return flavour.speeds[flavour.search.trials[0].left]
