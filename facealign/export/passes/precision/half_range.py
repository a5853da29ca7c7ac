"""What FP16 cannot hold: numbers above its largest, and arrays whose bulk is below its normals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import node_name

__all__ = [
    "HALF_LARGEST",
    "LARGEST_LOSS",
    "RangeFinding",
    "constant_findings",
    "loss_below_normals",
]

HALF_LARGEST = float(np.finfo(np.float16).max)  # 65504
_SMALLEST_NORMAL = float(np.finfo(np.float16).smallest_normal)  # 6.1e-5
# Rounding takes up to 2**-11 of any number that FP16 holds: a loss below that is no worse.
LARGEST_LOSS = 2.0**-11


@dataclass(frozen=True, slots=True)
class RangeFinding:
    """A value that FP16 does not hold, and so stays FP32.

    Attributes:
        node: Name of the node that gives it; of a constant, of the first node that takes it.
        operator: Operator of that node.
        value: Name of the value.
        reason: ``large`` for one that is, or comes near, infinity; ``small`` for one of which
            FP16 loses too much among its subnormal numbers.
        amount: Largest magnitude of a ``large`` one; of a ``small`` one, the part of its norm that
            is lost.
    """

    node: str
    operator: str
    value: str
    reason: Literal["large", "small"]
    amount: float

    def __str__(self) -> str:
        what = f"reaches {self.amount:.4g}, and FP16 ends at {HALF_LARGEST:.0f}"
        if self.reason == "small":
            what = f"loses {self.amount:.2%} of its norm, being too small for FP16"
        return f"`{self.value}` of {self.operator} `{self.node}` {what}"


def constant_findings(graph: ir.Graph, nodes: set[ir.Node]) -> tuple[RangeFinding, ...]:
    """Return the constants of nodes that FP16 does not hold.

    Args:
        graph: An FP32 graph.
        nodes: Those of its nodes whose constants are asked about.
    """
    return tuple(finding for node in graph if node in nodes for finding in _in_node(node))


def loss_below_normals(array: NDArray[Any]) -> float:
    """Return which part of its norm an array loses in FP16 in numbers below the normal ones.

    Args:
        array: Any shape; numbers that are not finite count as 0.

    Returns:
        0 to 1.
    """
    exact = np.where(np.isfinite(array), array, 0).astype(np.float64)
    norm = float(np.linalg.norm(exact))
    small = exact[np.abs(exact) < _SMALLEST_NORMAL]
    lost = float(np.linalg.norm(small - small.astype(np.float16)))
    return lost / norm if norm else 0.0


def _in_node(node: ir.Node) -> Iterator[RangeFinding]:
    name = node_name(node)
    for value in node.inputs:
        if value is None or value.const_value is None or value.dtype != ir.DataType.FLOAT:
            continue
        array = value.const_value.numpy()
        largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
        loss = loss_below_normals(array)
        if _overflows(largest):
            yield RangeFinding(name, node.op_type, str(value.name), "large", largest)
        elif loss > LARGEST_LOSS:
            yield RangeFinding(name, node.op_type, str(value.name), "small", loss)


def _overflows(number: float) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isinf(np.float32(number).astype(np.float16)))
