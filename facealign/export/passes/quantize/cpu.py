"""Q/DQ pairs as ONNX Runtime on x86 wants them: unsigned activations, on both sides of a node."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from facealign.export.graph import drop_unused_initializers
from facealign.export.passes.quantize.insert import (
    SIGNED_LEVELS,
    Code,
    Inserter,
    Use,
    WeightForm,
    activation_scale,
)
from facealign.export.passes.quantize.plan import Plan
from facealign.export.passes.quantize.planned_copy import planned_copy

__all__ = ["cpu_uses", "for_cpu"]

_UNSIGNED_LEVELS = 255
_UNSIGNED_ZERO = 128
# Two products of 255 * 63 fit into the 16-bit sums of CPUs without VNNI; of 127 they saturate.
_REDUCED_LEVELS = 63
_NEVER_NEGATIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax", "Abs", "Sqrt", "Exp", "Softplus"}
_KEEP_SIGN = {
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "ReduceMean",
    "ReduceSum",
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Slice",
    "Gather",
    "Identity",
    "Concat",
    "Add",
    "Mul",
}


def for_cpu(
    model: ir.Model,
    ranges: Mapping[str, float],
    *,
    leave_float: Collection[str] = (),
    reduce_range: bool = True,
) -> ir.Model:
    """Return a copy of a float graph with Q/DQ pairs for ONNX Runtime on x86.

    The products that `quantize` takes, but those by a constant on the left, for which there is no
    integer kernel. Activations are UINT8, with zero point 0 where a tensor cannot be negative, else
    128. ONNX Runtime runs a convolution in integers only if its result is
    quantised too, so there are pairs behind convolutions, and on both inputs and the output of a
    residual Add. Weights are stored as INT8.

    Args:
        model: An FP32 graph with inferred shapes.
        ranges: Largest magnitudes by tensor; at least what `tensors_to_observe` names.
        leave_float: Names of nodes, or of blocks of `blocks_of`, to leave float.
        reduce_range: Use 7 of 8 bits for weights. CPUs without VNNI add two products in 16 bits
            with saturation, which spoils landmarks without a word; False is for CPUs with VNNI.

    Raises:
        GraphContractError: If the graph is quantised already.
        CalibrationError: If a range is missing.
        UsageError: If `leave_float` names what is not in the graph.
    """
    copy, plan = planned_copy(model, leave_float=leave_float)
    levels = _REDUCED_LEVELS if reduce_range else SIGNED_LEVELS
    inserter = Inserter(copy.graph, WeightForm(levels=levels, stored=True))
    uses = cpu_uses(plan)
    codes = {value: _unsigned(value, ranges) for value in uses}
    for value in uses:
        inserter.add_pair(value, uses[value], codes[value])
    for product in plan.products:
        if product.weight_index == 1:
            inserter.add_weight(product)
    drop_unused_initializers(copy.graph)  # the float weights
    return copy


def cpu_uses(plan: Plan) -> dict[ir.Value, list[Use]]:
    """Return the tensors to quantise, and by whom each is read so."""
    values: dict[ir.Value, None] = {}
    for product in plan.products:
        if product.weight_index == 1:  # there is no integer kernel for a constant on the left
            values[product.activation] = None
        if product.node.op_type == "Conv":
            values[_behind(product.node.outputs[0])] = None
    for skip in plan.skips:
        values.update(dict.fromkeys(value for value in skip.node.inputs if value is not None))
        values[_behind(skip.node.outputs[0])] = None
    uses = {value: list(_integer_uses(value, plan)) for value in values}
    return {value: found for value, found in uses.items() if found}


def _behind(value: ir.Value) -> ir.Value:
    """Return what a convolution or an Add gives in the end: behind its Relu if it is fused."""
    uses = value.uses()
    if len(uses) == 1 and not value.is_graph_output():
        node = next(iter(uses)).node
        if node.op_type in {"BatchNormalization", "Relu"}:
            return _behind(node.outputs[0])
    return value


def _integer_uses(value: ir.Value, plan: Plan) -> Iterator[Use]:
    """Yield who reads a tensor quantised: all but GridSample and what computes with coordinates."""
    if value.is_graph_output() or value.producer() in plan.coordinates:
        return
    for use in value.uses():
        if use.node not in plan.coordinates and use.node.op_type != "GridSample":
            yield use.node, use.idx


def _unsigned(value: ir.Value, ranges: Mapping[str, float]) -> Code:
    if _is_never_negative(value):
        scale = activation_scale(value, ranges, levels=_UNSIGNED_LEVELS)
        return Code(scale, np.array(0, np.uint8))
    return Code(activation_scale(value, ranges), np.array(_UNSIGNED_ZERO, np.uint8))


def _is_never_negative(value: ir.Value) -> bool:
    """Return whether the operators before a tensor rule out negative values."""
    node = value.producer()
    if node is None:
        constant = value.const_value
        return constant is not None and bool((constant.numpy() >= 0).all())
    if node.op_type in _NEVER_NEGATIVE:
        return True
    if node.op_type not in _KEEP_SIGN:
        return False
    data = node.inputs if node.op_type in {"Concat", "Add", "Mul"} else node.inputs[:1]
    return all(each is not None and _is_never_negative(each) for each in data)
