"""How much memory a graph needs while it runs: weights, and the tensors that are alive at once."""

from __future__ import annotations

import math

import onnx_ir as ir

from facealign.export.cost import at_batch, sizes

__all__ = ["peak_activation_bytes", "weight_bytes"]

# They give other names or shapes to the same bytes.
_VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})


def weight_bytes(model: ir.Model) -> int:
    """Return the bytes of a graph's constants, in the types that they have in the file."""
    tensors = (value.const_value for value in model.graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)


def peak_activation_bytes(model: ir.Model, *, batch: int = 1) -> int:
    """Return the largest sum of tensors that are alive at once, in the order of the graph.

    Least an engine needs that frees a tensor after its last reader and fuses nothing. A pair of
    Q/DQ counts with the float tensor that the graph has between them.

    Args:
        model: A graph with one dynamic axis, the batch.
        batch: Crops in the run.
    """
    graph = at_batch(model, batch).graph
    constants = set(graph.initializers.values())
    root: dict[ir.Value, ir.Value] = {}
    for node in graph:
        source = node.inputs[0] if node.inputs else None
        if node.op_type in _VIEWS and source is not None:
            root[node.outputs[0]] = root.get(source, source)
    freed: dict[int, int] = {}
    for value, index in _last_uses(graph, root).items():
        freed[index] = freed.get(index, 0) + _bytes(value, batch)
    alive = sum(_bytes(value, batch) for value in graph.inputs)
    peak = alive
    for index, node in enumerate(graph):
        new = [value for value in node.outputs if value not in root and value not in constants]
        alive += sum(_bytes(value, batch) for value in new)
        peak = max(peak, alive)
        alive -= freed.get(index, 0)
    return peak


def _last_uses(graph: ir.Graph, root: dict[ir.Value, ir.Value]) -> dict[ir.Value, int]:
    """Return the index of the node after which a tensor can go; outputs stay to the end."""
    constants = set(graph.initializers.values())
    kept = {root.get(value, value) for value in graph.outputs}
    last: dict[ir.Value, int] = {}
    for index, node in enumerate(graph):
        for value in (*node.inputs, *node.outputs):  # an output that nobody reads goes at once
            if value is not None:
                last[root.get(value, value)] = index
    return {each: index for each, index in last.items() if each not in kept | constants}


def _bytes(value: ir.Value, batch: int) -> int:
    width = 4 if value.dtype is None else value.dtype.itemsize
    return math.ceil(math.prod(sizes(value, batch)) * width)
