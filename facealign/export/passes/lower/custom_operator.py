"""Operators of our own: a node that TensorRT's plugin lookup finds, and its ONNX function body.

What decides who runs such a node, read in onnx-tensorrt's sources, not run on a GPU:

* The lookup is by operator type alone, so the types are unlike any of the standard.
* TensorRT 8 knows no function bodies: it takes the plugin, or refuses the graph.
* 9.0 to 10.6 takes the body even where a plugin is registered. Where the plugin shall win, the
  graph must come without bodies. What else runs it then is in `runtime/patch_crop_body.py`.
* 10.7 to 10.14 takes the plugin where one is registered, else the body.
* From 10.15 on it does so only for a node that has the attribute `plugin_namespace`.

`plugin_version` and `plugin_namespace` are those under which the plugin registers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx
import onnx_ir as ir

__all__ = [
    "DOMAIN",
    "PLUGIN_NAMESPACE",
    "PLUGIN_VERSION",
    "add_function",
    "custom_node",
    "drop_functions",
]

DOMAIN = "facealign"
PLUGIN_NAMESPACE = "facealign"  # the domain: TensorRT from 10.10 on looks that up too
PLUGIN_VERSION = "1"
_DOMAIN_VERSION = 1
_FIRST_IR_VERSION = 8  # that has functions


def custom_node(
    op_type: str, inputs: Sequence[ir.Value], *, output: ir.Value, name: str | None
) -> ir.Node:
    """Return a node of an operator of ours, with the attributes that find its plugin.

    Args:
        op_type: Of our domain.
        inputs: Of the node.
        output: The only one.
        name: Of the node.
    """
    attributes = {"plugin_namespace": PLUGIN_NAMESPACE, "plugin_version": PLUGIN_VERSION}
    return ir.node(op_type, inputs, attributes, domain=DOMAIN, outputs=[output], name=name)


def add_function(model: ir.Model, body: str) -> None:
    """Import our domain into a model and add an operator's body.

    Args:
        model: It is changed.
        body: ONNX text of a function without header, standard operators of the model's opset.
    """
    model.graph.opset_imports[DOMAIN] = _DOMAIN_VERSION
    model.ir_version = max(model.ir_version, _FIRST_IR_VERSION)
    header = f'<domain: "{DOMAIN}", opset_import: ["": {model.opset_imports[""]}]>'
    proto = onnx.parser.parse_function(f"{header}\n{body}")
    function = ir.serde.deserialize_function(proto)
    model.functions[function.identifier()] = function


def drop_functions(model: ir.Model, op_types: Collection[str]) -> None:
    """Take the bodies of these operators of ours out of a model; the nodes stay."""
    for identifier in list(model.functions):
        if identifier[0] == DOMAIN and identifier[1] in op_types:
            del model.functions[identifier]
