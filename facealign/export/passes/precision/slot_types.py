"""Which inputs of a node have to be of one type, as the standard has it for the opset in use."""

from __future__ import annotations

from functools import cache

import onnx
import onnx_ir as ir

from facealign.export.graph import OPSET

__all__ = ["can_be_half", "follows_node"]

_HALF = "tensor(float16)"
_ANY_TYPE = frozenset({"Shape", "Size", "Cast"})  # they read any type, and need no Cast before them
_GRID = ("GridSample", 1)  # of a type of its own


def follows_node(node: ir.Node, position: int) -> bool:
    """Return whether an input has to be of the precision of its node.

    Not so are inputs whose type the standard fixes (the scales of Resize), those of operators that
    read anything, and the grid of GridSample.
    """
    if node.op_type in _ANY_TYPE or (node.op_type, position) == _GRID:
        return False
    return "tensor(" not in _type_of_input(node, position)


def can_be_half(node: ir.Node) -> bool:
    """Return whether the standard allows a node in FP16, and its inputs can make it so.

    What an attribute types stays as it is, such as ConstantOfShape; but a Cast, which is written.
    """
    allowed = _allowed_types(node.op_type, node.domain)
    of_outputs = [_type_of_output(node, position) for position in range(len(node.outputs))]
    of_inputs = [
        _type_of_input(node, position)
        for position, value in enumerate(node.inputs)
        if value is not None and value.dtype == ir.DataType.FLOAT and follows_node(node, position)
    ]
    floats = [
        name
        for name, value in zip(of_outputs, node.outputs, strict=True)
        if value.dtype == ir.DataType.FLOAT
    ]
    given = {_type_of_input(node, position) for position in range(len(node.inputs))}
    if node.op_type != "Cast" and not given.issuperset(floats):
        return False
    return all(_HALF in allowed.get(name, ()) for name in (*of_inputs, *floats))


def _type_of_input(node: ir.Node, position: int) -> str:
    inputs = _schema(node.op_type, node.domain).inputs
    return str(inputs[min(position, len(inputs) - 1)].type_str)


def _type_of_output(node: ir.Node, position: int) -> str:
    outputs = _schema(node.op_type, node.domain).outputs
    return str(outputs[min(position, len(outputs) - 1)].type_str)


@cache
def _allowed_types(op_type: str, domain: str) -> dict[str, frozenset[str]]:
    constraints = _schema(op_type, domain).type_constraints
    return {
        str(each.type_param_str): frozenset(map(str, each.allowed_type_strs))
        for each in constraints
    }


@cache
def _schema(op_type: str, domain: str) -> onnx.defs.OpSchema:
    return onnx.defs.get_schema(op_type, OPSET, domain)
