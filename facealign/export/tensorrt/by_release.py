"""Rules that depend on the release: the gate asks them of 10.3 to 11.4, the lint of a target."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import onnx
import onnx_ir as ir

from facealign.export.graph import STANDARD_DOMAINS, node_label, node_name
from facealign.export.tensorrt.values import Problem, input_of, is_constant, opset_of
from facealign.targets.operators import first_table, is_known, operator_row

__all__ = [
    "beyond_opset",
    "computed_inputs",
    "grid_sample_ranks",
    "is_without_importer",
    "quantized_type",
    "quantized_types_beyond",
    "release_constants",
    "without_importer",
]

# What to write instead of operators that some release lacks. The integer ones have no importer in
# any: onnx-tensorrt docs/operators.md at 8.5-GA and at 11.1.
_REWRITES = {
    "DynamicQuantizeLinear": "quantise with constant scales",
    "QLinearConv": "write DequantizeLinear, Conv, QuantizeLinear",
    "QLinearMatMul": "write DequantizeLinear, MatMul, QuantizeLinear",
    "ConvInteger": "write DequantizeLinear and Conv",
    "MatMulInteger": "write DequantizeLinear and MatMul",
    "Attention": "write MatMul and Softmax",
    "RMSNormalization": "write it as arithmetic",
    "RotaryEmbedding": "write it as arithmetic",
    "Swish": "write Sigmoid and Mul",
    "Gelu": "write Erf and Mul",
    "GridSample": "gather the four neighbours and weigh them",
    "LayerNormalization": "write ReduceMean, Sub, Mul and Sqrt, in FP32",
    "GroupNormalization": "write Reshape and InstanceNormalization",
}
_ARITHMETIC = "write it in other standard operators"
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_ZERO_POINT = 2  # input position of both
_Type = ir.DataType
_REFUSED_TYPES = {
    _Type.UINT8: "TensorRT reads it as INT8; unsigned activations are for ONNX Runtime alone",
    _Type.FLOAT8E4M3FN: "Orin has no FP8; quantise to INT8",
    _Type.FLOAT8E5M2: "TensorRT has no such type; quantise to INT8",
    _Type.FLOAT4E2M1: "Orin has no FP4; quantise to INT8",
    _Type.INT4: "it needs opset 21, where GridSample is misread; quantise to INT8",
}


def beyond_opset(
    model: ir.Model, greatest: int, *, reader: str, export_opset: int
) -> Iterator[Problem]:
    """Find an opset that a release does not read yet."""
    opset = opset_of(model)
    if opset > greatest:
        yield Problem(
            f"opset {opset} is beyond {reader}, which reads {greatest}", f"use opset {export_opset}"
        )


def without_importer(node: ir.Node, tables: Sequence[str], reader: str) -> Iterator[Problem]:
    """Find an operator that a release cannot read.

    Args:
        node: Of any domain; those of others are left to other rules.
        tables: Of `targets.operators`, oldest first; all must have it.
        reader: What messages call the releases.
    """
    if node.domain in STANDARD_DOMAINS and is_without_importer(node.op_type, tables):
        since = first_table(node.op_type)
        only = "" if since is None else f", only from {since.partition('-')[0]} on"
        yield Problem(
            f"{node_label(node)} has no importer in {reader}{only}",
            _REWRITES.get(node.op_type, _ARITHMETIC),
            (node_name(node),),
        )


def is_without_importer(op_type: str, tables: Sequence[str]) -> bool:
    """Return whether one of the tables lacks an operator; false if nobody looked for it."""
    if not is_known(op_type):
        return op_type in _REWRITES
    return any(operator_row(table, op_type) is None for table in tables)


def release_constants(tables: Sequence[str], op_type: str) -> tuple[str, ...]:
    """Return the names of inputs that one of the tables wants to be constant."""
    rows = (operator_row(table, op_type) for table in tables)
    return tuple(dict.fromkeys(name for row in rows if row is not None for name in row.constant))


def computed_inputs(node: ir.Node, names: Collection[str], opset: int) -> Iterator[Problem]:
    """Find inputs of those names in the standard that are computed.

    In opsets where they are attributes there is nothing to find.
    """
    if not names or not onnx.defs.has(node.op_type, max_inclusive_version=opset):
        return
    schema = onnx.defs.get_schema(node.op_type, opset)
    for index, parameter in enumerate(schema.inputs):
        value = input_of(node, index)
        if parameter.name in names and value is not None and not is_constant(value):
            yield Problem(
                f"{node_label(node)} computes its {parameter.name} `{value.name}`",
                "make them an initializer",
                (node_name(node),),
            )


def grid_sample_ranks(node: ir.Node, ranks: Collection[int]) -> Iterator[Problem]:
    """Find GridSample of maps or grids of another rank."""
    if node.op_type != "GridSample":
        return
    for index, what in enumerate(("input", "grid")):
        value = input_of(node, index)
        shape = None if value is None else value.shape
        if shape is None or len(shape) not in ranks:
            rank = "of unknown rank" if shape is None else f"{len(shape)}-D"
            yield Problem(
                f"{node_label(node)} has its {what} {rank}",
                "it must be 4-D, or from 11.2 on 5-D"
                if 5 in ranks
                else "it must be 4-D before 11.2",
                (node_name(node),),
            )


def quantized_types_beyond(
    node: ir.Node,
    readable: Collection[ir.DataType],
    reasons: Mapping[ir.DataType, str] = _REFUSED_TYPES,
) -> Iterator[Problem]:
    """Find quantised types other than `readable`; a bias of INT32 is left to its own rule.

    A QuantizeLinear without a zero point gives UINT8 in ONNX, and INT8 in TensorRT.
    """
    if node.op_type not in _QUANTIZERS:
        return
    dtype = quantized_type(node)
    if dtype in readable or (node.op_type == "DequantizeLinear" and dtype == _Type.INT32):
        return
    if dtype == _Type.UINT8 and input_of(node, _ZERO_POINT) is None:
        yield Problem(
            f"{node_label(node)} has no zero point, so ONNX takes UINT8 and TensorRT INT8",
            "give it an INT8 zero point of 0",
            (node_name(node),),
        )
        return
    name = "of unknown type" if dtype is None else dtype.name
    reason = reasons.get(dtype or _Type.UNDEFINED, "quantise to INT8")
    yield Problem(f"{node_label(node)} is {name}", reason, (node_name(node),))


def quantized_type(node: ir.Node) -> ir.DataType | None:
    """Return the type that a QuantizeLinear gives or a DequantizeLinear takes, if it is known."""
    zero_point = input_of(node, _ZERO_POINT)
    if zero_point is not None and zero_point.dtype is not None:
        return zero_point.dtype
    if node.op_type == "QuantizeLinear":
        return _Type(node.attributes.get_int("output_dtype", 0) or _Type.UINT8)
    value = input_of(node, 0)
    return None if value is None else value.dtype
