"""The rules of the gate that hold for every release of TensorRT, as rules of the lint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from facealign.export.target_lint.finding import Finding, Severity, TargetRule, finding_from_problem
from facealign.export.tensorrt import dtypes, files, operators, placement, quantizers
from facealign.export.tensorrt.values import Rule
from facealign.targets import Certainty, Fact, Target, Version

__all__ = ["ADOPTED", "ask_adopted"]

_TABLE = "onnx/onnx-tensorrt docs/operators.md, 8.5-GA to 11.1"
_SAMPLER = "onnx-tensorrt 8.5-GA builtin_op_importers.cpp:4421, 10.1-GA onnxOpImporters.cpp:5123"
_QUANTIZER = "onnx-tensorrt 10.1-GA, QuantDequantLinearHelper; NvInfer.h of 11.1, IQuantizeLayer"
_PAGE = "docs.nvidia.com TensorRT, quantized types, explicit quantization"
_ALL: Version = (0,)


@dataclass(frozen=True, slots=True)
class _Adopted:
    """A rule of the gate, how bad what it finds is, and since which release it holds."""

    rule: Rule
    severity: Severity
    certainty: Certainty
    source: str
    since: Version = _ALL

    def findings(self, model: ir.Model) -> Iterator[Finding]:
        """Yield what the rule finds."""
        because = Fact(self.since, self.source, self.certainty)
        for problem in self.rule(model):
            yield finding_from_problem(problem, self.severity, self.name, because)

    @property
    def name(self) -> str:
        """The name of the rule in findings."""
        return str(self.rule.__name__).replace("_", "-")


def ask_adopted(model: ir.Model) -> TargetRule:
    """Return the adopted rules as one that knows its answers: they differ by release alone.

    Args:
        model: The only graph that the rule may be asked of.
    """
    asked = [(each.since, tuple(each.findings(model))) for each in ADOPTED]

    def adopted(_: ir.Model, target: Target) -> Iterator[Finding]:
        for since, findings in asked:
            if target.newest >= since:
                yield from findings

    return adopted


ADOPTED: tuple[_Adopted, ...] = (
    # The runtime's `parse` of bytes does not find the other file; trtexec would.
    _Adopted(files.external_data, "warning", "measured", "bindings: OnnxParser.parse(bytes, path)"),
    _Adopted(operators.grid_sample_settings, "error", "measured", _SAMPLER),
    _Adopted(operators.grid_sample_border, "warning", "issue", "pytorch/TensorRT#3674, closed"),
    _Adopted(dtypes.grid_sample_types, "warning", "unconfirmed", "no test on a device is known"),
    _Adopted(operators.top_k, "error", "measured", _TABLE, since=(10,)),
    _Adopted(operators.resize_settings, "error", "measured", _TABLE),
    _Adopted(operators.resize_sizes, "warning", "issue", "NVIDIA/TensorRT#4846", since=(11,)),
    _Adopted(operators.pooling, "error", "measured", _TABLE),
    _Adopted(
        operators.layer_normalization,
        "error",
        "measured",
        "onnx-tensorrt 8.6-GA and 10.1-GA, importer of LayerNormalization; NVIDIA/TensorRT#2781",
    ),
    _Adopted(dtypes.unknown_types, "error", "measured", "without types no rule can be asked"),
    _Adopted(dtypes.unsupported_types, "error", "measured", _TABLE),
    _Adopted(dtypes.uint8_tensors, "error", "measured", _TABLE),
    _Adopted(dtypes.uint8_shapes, "warning", "measured", f"{_TABLE}, row of Shape"),
    _Adopted(
        dtypes.mixed_types,
        "error",
        "documented",
        "docs.nvidia.com TensorRT, strongly typed network",
    ),
    _Adopted(
        dtypes.half_precision_square,
        "warning",
        "issue",
        "NVIDIA/TensorRT#2564, #2781, #3692, #4111, #4493",
    ),
    _Adopted(quantizers.zero_points, "error", "measured", _QUANTIZER),
    _Adopted(quantizers.scales, "error", "measured", _QUANTIZER),
    _Adopted(quantizers.scale_types, "error", "measured", _QUANTIZER),
    _Adopted(quantizers.scale_shapes, "error", "measured", _QUANTIZER),
    _Adopted(quantizers.weight_axes, "error", "issue", "NVIDIA/TensorRT#1694, #2380"),
    _Adopted(placement.unpaired_quantizers, "error", "measured", _QUANTIZER),
    _Adopted(placement.quantized_biases, "error", "measured", _QUANTIZER),
    _Adopted(placement.quantized_inputs, "error", "documented", _PAGE),
    _Adopted(placement.quantized_coordinates, "error", "documented", _PAGE),
    _Adopted(placement.quantizers_behind_convolution, "error", "documented", _PAGE),
    _Adopted(placement.quantized_sums, "warning", "issue", "NVIDIA/TensorRT#2204, #1532, #3197"),
    _Adopted(placement.half_quantized_products, "warning", "documented", _PAGE),
)
