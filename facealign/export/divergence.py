"""Where a graph begins to differ from its module: the first of the named points that does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import graph_from_bytes

__all__ = ["Divergence", "first_divergence"]

Points = Mapping[str, NDArray[np.float32]]

# Rounding alone gave 1.6e-5 at the worst point of SLPT (6 layers, 72 crops); the smallest of 64
# planted faults gave 2.0e-4 at its point (tiny SLPT).
_RELATIVE_BAR = 1e-4


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first named point at which graph and module differ.

    Attributes:
        point: Its name.
        after: The last point at which they agree, or ``image``.
        relative: Largest deviation there, as a fraction of the largest value.
        operators: Operators between the two points, with their number.
    """

    point: str
    after: str
    relative: float
    operators: Mapping[str, int]

    def __str__(self) -> str:
        found = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        size = f"{self.relative:.2g} of its range"
        if math.isinf(self.relative):
            size = "not finite, or of another shape"
        return (
            f"first difference at `{self.point}` ({size}); "
            f"`{self.after}` still agrees; between them: {found}"
        )


def first_divergence(
    graph: bytes, *, expected: Points, found: Points, names: Sequence[str]
) -> Divergence | None:
    """Return where the graph first differs from the module, or nothing if it does not.

    Args:
        graph: The ONNX file.
        expected: The points of the module.
        found: The points of the graph for the same crops.
        names: Points in the order of the computation; points that one side lacks are passed over.
    """
    agreed = ["image"]
    for name in names:
        if name not in expected or name not in found:
            continue
        relative = _relative_deviation(found[name], expected[name])
        if relative > _RELATIVE_BAR:
            operators = _operators_between(graph, agreed, name)
            return Divergence(name, agreed[-1], relative, operators)
        agreed.append(name)
    return None


def _relative_deviation(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if found.size != expected.size:
        return float("inf")
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    scale = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found.reshape(expected.shape) - expected).max()) / scale


def _operators_between(graph: bytes, agreed: Sequence[str], point: str) -> dict[str, int]:
    """Return the operators that make `point` out of the points in `agreed`."""
    model = graph_from_bytes(graph)
    values = {value.name: value for node in model.graph for value in node.outputs}
    waiting = [values[point]] if point in values else []
    seen: set[ir.Node] = set()
    while waiting:
        node = waiting.pop().producer()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [
            value for value in node.inputs if value is not None and value.name not in agreed
        ]
    return dict(Counter(node.op_type for node in seen).most_common())
