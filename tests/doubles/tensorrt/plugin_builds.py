"""Which nodes of a graph go to plugins, and what a build asks of those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
from onnx import TensorProto, defs

from tests.doubles.tensorrt.objects import State
from tests.doubles.tensorrt.plugins import (
    DimsExprs,
    DynamicPluginTensorDesc,
    PluginFieldCollection,
    PluginTensorDesc,
    called,
    check_whole,
    numbers_of,
)

__all__ = ["DATA_TYPES", "creator_for", "kept_of_plugin", "plugin_of_node", "takes_types"]

DATA_TYPES: dict[int, str] = {
    TensorProto.FLOAT: "FLOAT",
    TensorProto.FLOAT16: "HALF",
    TensorProto.INT8: "INT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.UINT8: "UINT8",
    TensorProto.BOOL: "BOOL",
    TensorProto.BFLOAT16: "BF16",
}


def creator_for(state: State, node: onnx.NodeProto, *, has_body: bool) -> Any:
    """Return what makes a plugin of the node, if in this version a plugin gets it.

    Source: onnx-tensorrt's ModelImporter.cpp by release, as in facts/tensorrt.md, 2.2.
    """
    version = tuple(map(int, state.api.version.split(".")))
    texts = {a.name: a.s.decode() for a in node.attribute if a.type == onnx.AttributeProto.STRING}
    names = (node.op_type, texts.get("plugin_version", "1"), texts.get("plugin_namespace", ""))
    creator = state.registry.get_creator(*names)
    if version >= (10, 15):
        comes_first, beats_body = ("plugin_namespace" in texts,) * 2
    else:
        comes_first, beats_body = False, version >= (10, 7)
    if defs.has(node.op_type) and not comes_first:
        return None
    return None if has_body and not beats_body else creator


def plugin_of_node(state: State, creator: Any, node: onnx.NodeProto) -> Any:
    """Return a new plugin, or None if that is not whole."""
    phase = state.api.classes["TensorRTPhase"].BUILD  # type: ignore[attr-defined]  # of the double
    fields = PluginFieldCollection()
    plugin = called("create_plugin", creator.create_plugin, node.name, fields, phase)
    return None if plugin is None or check_whole(plugin) else plugin


def takes_types(classes: Mapping[str, Any], graph: onnx.GraphProto, name: str, plugin: Any) -> bool:
    """Return whether a plugin takes the types of its node, dense, and gives those of the graph."""
    copy = plugin.clone()
    node = next(each for each in graph.node if each.name == name)
    values = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
    tensors = [values[each].type.tensor_type for each in (*node.input, *node.output)]
    kinds = [getattr(classes["DataType"], DATA_TYPES[each.elem_type]) for each in tensors]
    count = len(node.input)
    shapes = [DimsExprs(object() for _ in each.shape.dim) for each in tensors[:count]]
    given = called("get_output_shapes", copy.get_output_shapes, shapes, [], None)
    if given is None or copy.get_output_data_types(kinds[:count]) != kinds[count:]:
        return False
    linear = classes["TensorFormat"].LINEAR
    described = [DynamicPluginTensorDesc(PluginTensorDesc((), kind, linear)) for kind in kinds]
    copy.configure_plugin(described[:count], described[count:])
    return bool(copy.num_outputs == len(node.output)) and all(
        copy.supports_format_combination(i, described, count) for i in range(len(described))
    )


def kept_of_plugin(node: str, plugin: Any) -> dict[str, Any]:
    """Return what a plan keeps of a plugin."""
    return {
        "node": node,
        "names": [plugin.plugin_name, plugin.plugin_version, plugin.plugin_namespace],
        "fields": numbers_of(plugin.get_fields_to_serialize()),
    }
