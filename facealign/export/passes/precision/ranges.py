"""Which inner values of a graph leave the range of FP16 on real crops."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.export.graph import bytes_from_graph, expose_values, node_name
from facealign.export.passes.precision.assignment import assign_precision
from facealign.export.passes.precision.half_range import (
    HALF_LARGEST,
    LARGEST_LOSS,
    RangeFinding,
    loss_below_normals,
)

__all__ = ["CHUNK_BYTES", "HEADROOM", "audit_ranges"]

# Other crops may give more than these. The logit -1e4 of a missing edge (`blocks/folded_graph.py`)
# is a sixth of the largest number, and never grows.
HEADROOM = 4.0
CHUNK_BYTES = 64 * 2**20
_BATCH = 4
_BYTES = 4  # of an FP32 number

RunValues = Callable[[bytes, NDArray[np.uint8], Sequence[str]], Mapping[str, NDArray[Any]]]


def audit_ranges(
    model: ir.Model,
    crops: NDArray[np.uint8],
    *,
    run: RunValues,
    headroom: float = HEADROOM,
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[RangeFinding, ...]:
    """Return the constants and inner values that would be FP16 and do not fit it.

    Run on the FP32 graph, as a value that is infinite in FP16 hides all that come from it. Their
    names are what `half_precision` keeps in FP32::

        findings = audit_ranges(model, crops, run=run_graph)
        typed = half_precision(model, keep=[finding.value for finding in findings])

    Args:
        model: An FP32 graph with inferred shapes.
        crops: ``(K, S, S, 3)`` uint8 BGR; like those of later use, the hardest among them.
        run: Gives the named outputs of an ONNX file for some crops, such as `run_graph`. It is
            asked about some values at a time, and opens the graph anew each time.
        headroom: A value is ``large`` from the largest FP16 number divided by this; at least 1.
        chunk_bytes: How large the values of one such time may be, with crops in batches of four.

    Returns:
        Constants, then values in the order of the graph: those of FP16 nodes, and those that FP16
        nodes take from islands. An all-zero value fits.
    """
    precision = assign_precision(model.graph)
    producers = _half_values(precision.half)
    extremes = dict.fromkeys(producers, (0.0, 0.0))
    for name, largest, loss in _measured(model, producers, crops, run, chunk_bytes):
        before = extremes[name]
        extremes[name] = max(before[0], largest), max(before[1], loss)
    limit = HALF_LARGEST / headroom
    findings = (_finding(name, producers[name], each, limit) for name, each in extremes.items())
    return (*precision.unfit, *(finding for finding in findings if finding is not None))


def _half_values(half: Iterable[ir.Node]) -> dict[str, ir.Node]:
    """Return what FP16 nodes give, and what they take from islands, with the nodes that give it."""
    values = (v for node in half for v in (*node.inputs, *node.outputs) if v is not None)
    found = {}
    for value in values:
        producer = value.producer()
        if producer is not None and value.dtype == ir.DataType.FLOAT:
            found[str(value.name)] = producer
    return found


def _finding(
    name: str, node: ir.Node, extremes: tuple[float, float], limit: float
) -> RangeFinding | None:
    largest, loss = extremes
    if largest >= limit:
        return RangeFinding(node_name(node), node.op_type, name, "large", largest)
    if loss > LARGEST_LOSS:
        return RangeFinding(node_name(node), node.op_type, name, "small", loss)
    return None


def _measured(
    model: ir.Model,
    names: Collection[str],
    crops: NDArray[np.uint8],
    run: RunValues,
    chunk_bytes: int,
) -> Iterator[tuple[str, float, float]]:
    """Give the largest magnitude of every value, and what it loses below the normal numbers."""
    data = bytes_from_graph(model)
    values = [v for node in model.graph for v in node.outputs if v.name in names]
    for chunk in _chunks(values, chunk_bytes):
        exposed = expose_values(data, chunk)
        for start in range(0, len(crops), _BATCH):
            found = run(exposed, crops[start : start + _BATCH], chunk)
            for name in chunk:
                magnitude = np.nan_to_num(np.abs(found[name]), nan=np.inf, posinf=np.inf)
                yield name, float(magnitude.max()), loss_below_normals(found[name])


def _chunks(values: Iterable[ir.Value], chunk_bytes: int) -> Iterator[list[str]]:
    """Cut values into lists of at most `chunk_bytes`, or of one."""
    chunk: list[str] = []
    room = chunk_bytes
    for value in values:
        size = (
            _BYTES * _BATCH * math.prod(d if isinstance(d, int) else 1 for d in value.shape or ())
        )
        if chunk and size > room:
            yield chunk
            chunk, room = [], chunk_bytes
        chunk.append(str(value.name))
        room -= size
    if chunk:
        yield chunk
