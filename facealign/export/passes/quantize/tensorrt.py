"""Q/DQ pairs by TensorRT's rules; measured on ONNX Runtime only, as no TensorRT was at hand.

Rules, from NVIDIA's explicit-quantization page and the importer (onnx-tensorrt 10.1-GA): INT8,
symmetric, zero points all zero; constant scales > 0 of the type of the data; per output channel for
weights only; both inputs of a product, never its output; a residual Add on its skip branch only; no
pair between a convolution and its BatchNormalization or Relu, and none on a bias.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from facealign.export.passes.quantize.insert import (
    Code,
    Inserter,
    Use,
    WeightForm,
    activation_scale,
)
from facealign.export.passes.quantize.plan import Plan
from facealign.export.passes.quantize.planned_copy import planned_copy

__all__ = ["quantize", "quantized_uses"]


def quantize(
    model: ir.Model,
    ranges: Mapping[str, float],
    *,
    leave_float: Collection[str] = (),
    grouped: bool = False,
) -> ir.Model:
    """Return a copy of a float graph with Q/DQ pairs, for TensorRT 10.3 and later.

    A pair stands on the edge to a product, never on the tensor: a GridSample or an Add that reads
    the same tensor reads it as it was. Products and branches that read the same tensor share one
    pair. Weights stay float behind a pair: that chain is what TensorRT 10.1's importer is known to
    read, while INT8 constants are only documented for newer ones.

    Args:
        model: An FP32 graph, or one that is partly FP16, with inferred shapes.
        ranges: Largest magnitudes by tensor; at least what `tensors_to_observe` names.
        leave_float: Names of nodes, or of blocks of `blocks_of`, to leave float.
        grouped: Also quantise depthwise and group convolutions; whether they gain is doubtful.

    Raises:
        GraphContractError: If the graph is quantised already.
        CalibrationError: If a range is missing.
        UsageError: If `leave_float` names what is not in the graph.
    """
    copy, plan = planned_copy(model, leave_float=leave_float, grouped=grouped)
    inserter = Inserter(copy.graph, WeightForm(stored=False))
    for value, uses in quantized_uses(plan).items():
        code = Code(activation_scale(value, ranges), np.array(0, np.int8))
        inserter.add_pair(value, uses, code)
    for product in plan.products:
        inserter.add_weight(product)
    return copy


def quantized_uses(plan: Plan) -> dict[ir.Value, list[Use]]:
    """Return the activations to quantise, and by whom each is read in INT8."""
    uses: dict[ir.Value, list[Use]] = {}
    for product in plan.products:
        uses.setdefault(product.activation, []).append((product.node, product.activation_index))
    for skip in plan.skips:
        value = skip.node.inputs[skip.skip_index]
        if value is not None:
            uses.setdefault(value, []).append((skip.node, skip.skip_index))
    return uses
