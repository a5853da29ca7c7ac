"""The rules that a graph must keep for TensorRT, ours or that of another quantiser.

They are read off NVIDIA's importer, headers and documents, for TensorRT 10.3 to 11.4; TensorRT
itself was not run. The contract lint forbids `If`, `Loop`, `Einsum` and the like, so ask it too.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir

from facealign.errors import GraphContractError
from facealign.export.tensorrt.dtypes import (
    grid_sample_in_half,
    grid_sample_types,
    half_precision_square,
    mixed_types,
    uint8_shapes,
    uint8_tensors,
    unknown_types,
    unsupported_types,
)
from facealign.export.tensorrt.files import (
    external_data,
    foreign_domains,
    local_functions,
    opset_beyond_oldest_release,
    opset_range,
)
from facealign.export.tensorrt.operators import (
    constant_operands,
    grid_sample_border,
    grid_sample_opset,
    grid_sample_rank,
    grid_sample_settings,
    layer_normalization,
    operators_without_importer,
    pooling,
    resize_settings,
    resize_sizes,
    top_k,
)
from facealign.export.tensorrt.placement import (
    half_quantized_products,
    quantized_biases,
    quantized_coordinates,
    quantized_inputs,
    quantized_sums,
    quantizers_behind_convolution,
    unpaired_quantizers,
)
from facealign.export.tensorrt.quantizers import (
    quantized_types,
    scale_shapes,
    scale_types,
    scales,
    weight_axes,
    zero_points,
)
from facealign.export.tensorrt.values import Rule

__all__ = [
    "RULES",
    "WARNINGS",
    "check_tensorrt_rules",
    "rule_problems",
    "rule_warnings",
    "with_types",
]

_SHOWN = 12  # a graph of another quantiser may break hundreds

RULES: tuple[Rule, ...] = (
    opset_range,
    foreign_domains,
    local_functions,
    external_data,
    grid_sample_opset,
    grid_sample_rank,
    grid_sample_settings,
    operators_without_importer,
    constant_operands,
    top_k,
    resize_settings,
    pooling,
    layer_normalization,
    unknown_types,
    unsupported_types,
    uint8_tensors,
    mixed_types,
    quantized_types,
    zero_points,
    scales,
    scale_types,
    scale_shapes,
    weight_axes,
    unpaired_quantizers,
    quantized_biases,
    quantized_inputs,
    quantized_coordinates,
    quantizers_behind_convolution,
)
WARNINGS: tuple[Rule, ...] = (
    opset_beyond_oldest_release,
    grid_sample_border,
    grid_sample_types,
    grid_sample_in_half,
    resize_sizes,
    uint8_shapes,
    half_precision_square,
    quantized_sums,
    half_quantized_products,
)


def check_tensorrt_rules(model: ir.Model) -> None:
    """Refuse a graph that TensorRT would misread or refuse.

    Args:
        model: A graph of any quantiser; types that it does not state are inferred.

    Raises:
        GraphContractError: With the first problems and the number of the others.
    """
    problems = rule_problems(model)
    if problems:
        others = len(problems) - _SHOWN
        end = f"; and {others} more, which `rule_problems` lists" if others > 0 else ""
        raise GraphContractError(
            "the graph breaks the rules of TensorRT: " + "; ".join(problems[:_SHOWN]) + end
        )


def rule_problems(model: ir.Model) -> list[str]:
    """Return what TensorRT would misread or refuse in a graph, one line each, in order of `RULES`.

    Args:
        model: A graph of any quantiser; types that it does not state are inferred.
    """
    return _findings(model, RULES)


def rule_warnings(model: ir.Model) -> list[str]:
    """Return what TensorRT reads right but may run wrongly or slowly, one line each.

    Each is a report of others, or costs speed alone; none is a reason to refuse a graph.

    Args:
        model: A graph of any quantiser; types that it does not state are inferred.
    """
    return _findings(model, WARNINGS)


def _findings(model: ir.Model, rules: tuple[Rule, ...]) -> list[str]:
    model = with_types(model)
    return [str(problem) for rule in rules for problem in rule(model)]


def with_types(model: ir.Model) -> ir.Model:
    """Return `model`, or a copy with inferred types where some are not stated."""
    values = [value for node in model.graph.all_nodes() for value in node.outputs]
    if all(value.dtype is not None and value.shape is not None for value in values):
        return model
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model), data_prop=True)
    return ir.from_proto(proto)
