"""How much a graph moves: bytes that must be read and written, beside multiply-accumulates."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import onnx_ir as ir

from facealign.errors import GraphContractError
from facealign.export.cost import at_batch, node_macs, sizes
from facealign.export.graph import node_label

__all__ = ["GraphWork", "NodeWork", "graph_work"]

# They give other names or shapes to the same bytes.
_VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_ONLY_SHAPES = frozenset({"Shape", "Size"})
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_FACTORS = (0, 1)  # input positions
# How often an element of the first input is read per element of the output, at most.
_READS_PER_OUTPUT = {"Gather": 1, "GatherElements": 1, "GatherND": 1, "Slice": 1, "GridSample": 4}


@dataclass(frozen=True, slots=True)
class NodeWork:
    """What one node must do if nothing stays in a cache.

    Attributes:
        key: Name of its first output.
        operator: As ONNX has it.
        macs: Multiply-accumulates; 0 but for Conv, ConvTranspose, Gemm and MatMul.
        kind: Of the arithmetic: ``int8``, ``fp16`` or ``fp32``.
        reads: Bytes by tensor; views are followed to the tensor behind them, and a product that is
            fed by DequantizeLinear reads the integers.
        writes: Bytes by tensor.
        inputs: Keys of the nodes right before it.
        outputs: Names of what it gives.
    """

    key: str
    operator: str
    macs: int
    kind: str
    reads: dict[str, int]
    writes: dict[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes to read and to write."""
        return sum(self.reads.values()) + sum(self.writes.values())


@dataclass(frozen=True, slots=True)
class GraphWork:
    """What the nodes of a graph must do, in their order; nodes of constants only are left out.

    Attributes:
        nodes: By key.
        outputs: Tensors that the graph gives.
    """

    nodes: dict[str, NodeWork]
    outputs: frozenset[str]
    _readers: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.nodes.values():
            for name in node.reads:
                self._readers.setdefault(name, set()).add(node.key)

    def merged_bytes(self, keys: Collection[str]) -> int:
        """Return the bytes of nodes that run as one: what lies between them is not moved."""
        nodes = [self.nodes[key] for key in keys]
        made = {name: size for node in nodes for name, size in node.writes.items()}
        read: dict[str, int] = {}
        for node in nodes:
            for name, size in node.reads.items():
                read[name] = max(size, read.get(name, 0))
        reads = sum(size for name, size in read.items() if name not in made)
        return reads + sum(size for name, size in made.items() if self._is_wanted(name, keys))

    def _is_wanted(self, name: str, keys: Collection[str]) -> bool:
        readers = self._readers.get(name, set())
        return name in self.outputs or not readers or not readers <= set(keys)


def graph_work(model: ir.Model, *, batch: int = 1) -> GraphWork:
    """Return multiply-accumulates and bytes of every node of one run.

    A weight is read once. Reshape and its like are free. What gathers or samples reads no more of
    its first input than it gives: four elements for each in bilinear sampling.

    Args:
        model: A graph with one dynamic axis, the batch.
        batch: Crops in the run.

    Raises:
        GraphContractError: If the size of a tensor cannot be told.
    """
    return _Reader(batch).read(at_batch(model, batch))


class _Reader:
    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._constants: set[ir.Value] = set()

    def read(self, model: ir.Model) -> GraphWork:
        self._constants = set(model.graph.initializers.values()) - set(model.graph.inputs)
        nodes = {}
        for node in model.graph:
            if all(value in self._constants for value in _given(node)):
                self._constants.update(node.outputs)  # an engine folds it
            else:
                work = self._work(node)
                nodes[work.key] = work
        outputs = frozenset(str(_behind_views(value).name) for value in model.graph.outputs)
        return GraphWork(nodes, outputs)

    def _work(self, node: ir.Node) -> NodeWork:
        reads: dict[str, int] = {}
        for value, size in self._reads(node):
            reads[str(value.name)] = max(size, reads.get(str(value.name), 0))
        return NodeWork(
            key=str(node.outputs[0].name),
            operator=node.op_type,
            macs=node_macs(node, self._batch),
            kind=_kind(node),
            reads=reads,
            writes={str(v.name): self._bytes(node, v) for v in self._written(node)},
            inputs=tuple(dict.fromkeys(self._producers(node))),
            outputs=tuple(str(value.name) for value in node.outputs),
        )

    def _reads(self, node: ir.Node) -> Iterator[tuple[ir.Value, int]]:
        """Yield each tensor that is read, and how much of it."""
        if node.op_type in _VIEWS | _ONLY_SHAPES or _is_read_through(node):
            return
        for index, value in enumerate(node.inputs):
            if value is None:
                continue
            source = _behind_dequantizer(node, value)
            size = self._bytes(node, source)
            limit = _READS_PER_OUTPUT.get(node.op_type) if index == 0 else None
            if limit is not None and source.dtype is not None:
                elements = math.prod(sizes(node.outputs[0], self._batch))
                size = min(size, math.ceil(limit * elements * source.dtype.itemsize))
            yield source, size

    def _written(self, node: ir.Node) -> list[ir.Value]:
        if node.op_type in _VIEWS or _is_read_through(node):
            return []
        return [value for value in node.outputs if value.name]

    def _producers(self, node: ir.Node) -> Iterator[str]:
        for value in _given(node):
            producer = value.producer()
            if producer is not None and value not in self._constants:
                yield str(producer.outputs[0].name)

    def _bytes(self, node: ir.Node, value: ir.Value) -> int:
        if value.shape is None or value.dtype is None:
            raise GraphContractError(
                f"the size of `{value.name}` at {node_label(node)} cannot be told; "
                "give the graph static shapes but for the batch"
            )
        return math.ceil(math.prod(sizes(value, self._batch)) * value.dtype.itemsize)


def _given(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None]


def _behind_views(value: ir.Value) -> ir.Value:
    producer = value.producer()
    while producer is not None and producer.op_type in _VIEWS and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _behind_dequantizer(node: ir.Node, value: ir.Value) -> ir.Value:
    """Return the tensor whose bytes a node reads as an input."""
    source = _dequantized(value) if node.op_type in _PRODUCTS else None
    if source is not None:
        return _behind_views(source)
    return _behind_views(value)


def _dequantized(value: ir.Value) -> ir.Value | None:
    """Return the integers that a value is made of, if it is."""
    producer = value.producer()
    if producer is None or producer.op_type != "DequantizeLinear":
        return None
    return producer.inputs[0]


def _is_read_through(node: ir.Node) -> bool:
    """Return whether this dequantizes for products only, which read its integers themselves."""
    if node.op_type != "DequantizeLinear" or node.outputs[0].is_graph_output():
        return False
    readers = node.outputs[0].consumers()
    return bool(readers) and all(reader.op_type in _PRODUCTS for reader in readers)


def _kind(node: ir.Node) -> str:
    factors = [node.inputs[index] for index in _FACTORS if index < len(node.inputs)]
    is_product = node.op_type in _PRODUCTS
    if is_product and all(v is not None and _dequantized(v) is not None for v in factors):
        return "int8"
    is_half = any(v is not None and v.dtype == ir.DataType.FLOAT16 for v in factors)
    return "fp16" if is_half else "fp32"
