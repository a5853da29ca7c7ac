"""Which nodes of an FP16 graph move its landmarks: everything FP32 but a few, and so on down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph
from facealign.export.passes.precision import half_precision
from facealign.export.passes.precision.assignment import assign_precision
from facealign.export.passes.precision.every_rounding import with_every_rounding

__all__ = ["NodeDeviation", "RunGraph", "deviation_by_node"]

RunGraph = Callable[[bytes, NDArray[np.uint8]], Mapping[str, NDArray[Any]]]
"""Outputs by name of an ONNX file, for crops ``(B, S, S, 3)`` uint8 BGR."""

_PERCENTILE = 99


@dataclass(frozen=True, slots=True)
class NodeDeviation:
    """How far landmarks move if some nodes alone are FP16.

    Attributes:
        values: Names of what these nodes give, in the order of the graph.
        operators: Their operators.
        p99_px: 99th percentile of the distance to the FP32 landmarks, in crop pixels.
        max_px: Its largest; infinite where a landmark is not finite.
    """

    values: tuple[str, ...]
    operators: tuple[str, ...]
    p99_px: float
    max_px: float


def deviation_by_node(
    model: ir.Model,
    crops: NDArray[np.uint8],
    *,
    run: RunGraph,
    least_px: float,
    parts: int = 4,
) -> tuple[NodeDeviation, ...]:
    """Return the smallest groups of nodes that alone move landmarks by more than a bar.

    The FP16 nodes are cut into `parts` groups in the order of the graph. Each that moves landmarks
    by `least_px` (99th percentile) when it alone is FP16, every rounding done, is cut again, until
    one node is left or none of its parts moves as much alone.

    Args:
        model: An FP32 graph.
        crops: ``(B, S, S, 3)`` uint8 BGR.
        run: The engine.
        least_px: The bar, in crop pixels.
        parts: Groups per cut, at least 2.

    Returns:
        The groups, the worst first; empty if the whole graph stays below the bar.
    """
    measure = _Measure(model, crops, run)
    found = _smallest(assign_precision(model.graph).half, measure, least_px, parts)
    return tuple(sorted(found, key=lambda each: each.p99_px, reverse=True))


class _Measure:
    """Runs the graph with all but some nodes in FP32."""

    def __init__(self, model: ir.Model, crops: NDArray[np.uint8], run: RunGraph) -> None:
        self._model, self._crops, self._run = model, crops, run
        self._exact = run(bytes_from_graph(model), crops)["landmarks"].astype(np.float64)

    def __call__(self, nodes: Sequence[ir.Node]) -> NodeDeviation:
        names = {str(value.name) for node in nodes for value in node.outputs}
        typed = half_precision(self._model, only=names)
        graph = bytes_from_graph(with_every_rounding(typed))
        landmarks = self._run(graph, self._crops)["landmarks"].astype(np.float64)
        distance = np.linalg.norm(landmarks - self._exact, axis=-1) * self._crops.shape[1]
        distance = np.where(np.isfinite(distance), distance, np.inf)
        return NodeDeviation(
            values=tuple(str(node.outputs[0].name) for node in nodes),
            operators=tuple(node.op_type for node in nodes),
            p99_px=float(np.percentile(distance, _PERCENTILE, method="higher")),
            max_px=float(distance.max()),
        )


def _smallest(
    nodes: Sequence[ir.Node], measure: _Measure, least_px: float, parts: int
) -> Iterator[NodeDeviation]:
    if not nodes:
        return
    whole = measure(nodes)
    if not whole.p99_px > least_px:
        return
    size = -(-len(nodes) // parts)
    cuts = [nodes[start : start + size] for start in range(0, len(nodes), size)]
    below: list[NodeDeviation] = []
    for cut in cuts if len(cuts) > 1 else ():
        below += _smallest(cut, measure, least_px, parts)
    yield from below or [whole]
