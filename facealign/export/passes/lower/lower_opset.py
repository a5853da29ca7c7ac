"""From opset 18 or 19 to 17, which TensorRT 8.4 to 8.6 read (JetPack 5 and 6.0)."""

from __future__ import annotations

import onnx
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from facealign.errors import GraphContractError
from facealign.export.graph import STANDARD_DOMAINS, drop_unused_initializers, node_label
from facealign.export.passes.lower.opset_17 import CONVERTERS, WIDENED

__all__ = ["LowerOpsetPass"]

_OPSET = 17
_SOURCES = (18, 19)
_IR_VERSION = 8  # the one that came with opset 17


class LowerOpsetPass(InPlacePass):
    """Say in opset 17 what a graph of opset 18 or 19 says; one of opset 17 is left alone.

    An operator whose definition is the same in both stays as it is. Of the others, `CONVERTERS`
    knows how to write those of our graphs, and those in `WIDENED` only got types that our graphs do
    not have. Function bodies are lowered with the graph.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every operator that changed.

        Raises:
            GraphContractError: If an operator is not known to be expressible, or uses what opset 17
                has not; it names the node.
        """
        source = model.opset_imports.get("", 0)
        if source == _OPSET:
            return PassResult(model, modified=False)
        if source not in _SOURCES:
            raise GraphContractError(
                f"only opset 18 and 19 can be written as 17, got {source}; export it as opset 19"
            )
        bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
        for body in bodies:
            for node in list(body):
                _lower(body, node, source)
            body.opset_imports[""] = _OPSET
        drop_unused_initializers(model.graph)
        model.ir_version = _IR_VERSION
        return PassResult(model, modified=True)


def _lower(graph: ir.Graph | ir.Function, node: ir.Node, source: int) -> None:
    if node.domain not in STANDARD_DOMAINS:
        return  # of ours; its body, if it has one, is lowered for itself
    known = onnx.defs.has(node.op_type, source, "") and onnx.defs.has(node.op_type, _OPSET, "")
    schemas = [_schema(node, version) for version in (source, _OPSET)] if known else []
    if known and schemas[0].since_version == schemas[1].since_version:
        return
    if node.op_type in CONVERTERS:
        CONVERTERS[node.op_type](graph, node)
    elif node.op_type not in WIDENED:
        raise GraphContractError(
            f"{node_label(node)} cannot be written in opset {_OPSET}: no rule says how; "
            "choose a target with TensorRT 10 or newer"
        )
    _check_types(node)


def _schema(node: ir.Node, version: int) -> onnx.defs.OpSchema:
    return onnx.defs.get_schema(node.op_type, version)


def _check_types(node: ir.Node) -> None:
    """Refuse an input or output of a type that the older operator does not take."""
    schema = _schema(node, _OPSET)
    formals = [*zip(node.inputs, schema.inputs, strict=False)]
    formals += zip(node.outputs, schema.outputs, strict=False)
    for value, formal in formals:
        if value is None or value.dtype is None:
            continue
        found = f"tensor({_type_name(value.dtype)})"
        if found not in formal.types:
            raise GraphContractError(
                f"{node_label(node)} cannot be written in opset {_OPSET}: its `{formal.name}` is "
                f"{found}, which came later; choose a target with TensorRT 10 or newer"
            )


def _type_name(dtype: ir.DataType) -> str:
    return onnx.helper.tensor_dtype_to_string(int(dtype)).removeprefix("TensorProto.").lower()
