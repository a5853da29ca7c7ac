"""Which products of a graph run in INT8, and which residual branches with them."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from facealign.errors import GraphContractError, UsageError
from facealign.export.graph import node_name
from facealign.export.islands import coordinate_nodes, first_layers
from facealign.export.layers import Product, is_grouped, is_layer, learned_product

__all__ = ["Plan", "Skip", "check_float", "plan_products"]

_FLOAT_TYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
_QUANTIZED_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
# Conv and MatMul with weights only; ConvTranspose stays float, see `plan_products`.
_OPERATORS = ("Conv", "Gemm", "MatMul")
# A layer of fewer sums too little for integers to gain what the pair around it costs.
_LEAST_TERMS_WORTH_IT = 16


@dataclass(frozen=True, slots=True)
class Skip:
    """A residual Add: which input is the convolution that it is fused to, and which the skip."""

    node: ir.Node
    main_index: int
    skip_index: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is quantised.

    Attributes:
        products: In the order of the graph.
        skips: Residual Adds behind quantised convolutions.
        coordinates: Nodes that compute with coordinates.
    """

    products: tuple[Product, ...]
    skips: tuple[Skip, ...]
    coordinates: frozenset[ir.Node]


def plan_products(
    model: ir.Model, *, leave_float: Collection[str] = (), grouped: bool = False
) -> Plan:
    """Return which products of a float graph run in INT8.

    These stay float: ConvTranspose, as toolkits disagree whether TensorRT wants its scales along
    axis 0 or 1; products of two activations, as one of them is a Softmax; what is no layer, and
    layers of fewer than 16 terms; the first layers behind the image, which cost little, and some of
    which TensorRT cannot fuse in INT8 with three channels; the last ones before coordinates; and
    products of coordinates.

    Args:
        model: A graph with inferred shapes.
        leave_float: Names of nodes to leave float as well.
        grouped: Also quantise depthwise and group convolutions.

    Raises:
        UsageError: If `leave_float` names what is not in the graph.
    """
    _check_names(model.graph, leave_float)
    coordinates = coordinate_nodes(model.graph)
    excluded = coordinates | first_layers(model.graph)
    excluded |= {node for node in model.graph if node_name(node) in leave_float}
    products = tuple(
        product
        for node in model.graph
        if node not in excluded
        and node.op_type in _OPERATORS
        and (product := learned_product(node)) is not None
        and _is_worth_it(product)
        and (grouped or not is_grouped(node))
        and product.activation.producer() not in coordinates
    )
    order = {node: position for position, node in enumerate(model.graph)}
    quantized = {product.node: order[product.node] for product in products}
    skips = (
        _skip_of(node, quantized)
        for node in model.graph
        if node.op_type == "Add" and node not in coordinates
    )
    return Plan(products, tuple(skip for skip in skips if skip), frozenset(coordinates))


def check_float(model: ir.Model) -> None:
    """Refuse a graph that is quantised already.

    Raises:
        GraphContractError: If there is a quantising node.
    """
    for node in model.graph:
        if node.op_type in _QUANTIZED_OPERATORS:
            raise GraphContractError(
                f"the graph is quantised already: {node.op_type} `{node_name(node)}`; "
                "start from the FP32 or FP16 graph"
            )


def _check_names(graph: ir.Graph, names: Collection[str]) -> None:
    known = {node_name(node) for node in graph}
    for name in sorted(set(names) - known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see `blocks_of` for what there is"
        raise UsageError(f"the graph has no node or block {name!r} to leave float; {hint}")


def _is_worth_it(product: Product) -> bool:
    is_wide = is_layer(product.node) and product.terms >= _LEAST_TERMS_WORTH_IT
    return is_wide and product.activation.dtype in _FLOAT_TYPES


def _skip_of(node: ir.Node, quantized: dict[ir.Node, int]) -> Skip | None:
    """Return `node` as a residual Add, if a quantised convolution can be fused with it.

    If both inputs are convolutions, the later one is fused, and the other is the skip branch.
    """
    positions = [quantized.get(_fusable_conv(value), -1) for value in node.inputs]  # type: ignore[arg-type]  # no node is no key
    main_index = int(np.argmax(positions))
    main, skip = node.inputs[main_index], node.inputs[1 - main_index]
    if positions[main_index] < 0 or main is None or skip is None:
        return None
    if skip.const_value is not None or not _has_shape_of(skip, main):
        return None
    return Skip(node, main_index, 1 - main_index)


def _fusable_conv(value: ir.Value | None) -> ir.Node | None:
    """Return the Conv that gives `value`, perhaps through a BatchNormalization, to nobody else."""
    if value is None or value.is_graph_output() or len(value.uses()) != 1:
        return None
    node = value.producer()
    if node is not None and node.op_type == "BatchNormalization":
        return _fusable_conv(node.inputs[0])
    return node if node is not None and node.op_type == "Conv" else None


def _has_shape_of(one: ir.Value, other: ir.Value) -> bool:
    """Return whether two values have the same shape, but for the batch."""
    if one.shape is None or other.shape is None:
        return False
    return len(one.shape) == len(other.shape) and list(one.shape)[1:] == list(other.shape)[1:]
