"""The patch crop: samples of a map around landmarks, as one operator of ours."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

from facealign.export.graph import STANDARD_DOMAINS, node_name
from facealign.export.passes.lower.custom_operator import add_function, custom_node

__all__ = ["PATCH_CROP", "CustomPatchCropPass", "is_patch_crop", "patch_crops"]

PATCH_CROP = "PatchCrop"
_BODY = f"""
{PATCH_CROP} <plugin_namespace, plugin_version> (features, grid) => (patches) {{
  patches = GridSample <mode = "bilinear", padding_mode = "zeros", align_corners = 0> (
    features, grid
  )
}}
"""


class CustomPatchCropPass(InPlacePass):
    """Replace every patch crop by ``facealign::PatchCrop(features, grid)``.

    ``features`` is ``(B, C, H, W)``, ``grid`` ``(B, P, N, 2)``, x before y in the units of
    GridSample without aligned corners: cell c of W is at ``(2 c + 1) / W - 1``. What lies outside
    the map is 0. The result is ``(B, C, P, N)``. The model gets the operator's function body, by
    which every runtime that knows no kernel for it runs it.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every patch crop; a GridSample of another kind stays."""
        found = patch_crops(model.graph)
        for node in found:
            _replace(model.graph, node)
        if found:
            add_function(model, _BODY)
        return PassResult(model, modified=bool(found))


def patch_crops(graph: ir.Graph) -> list[ir.Node]:
    """Return the nodes of `graph` that crop patches."""
    return [node for node in graph if is_patch_crop(node)]


def is_patch_crop(node: ir.Node) -> bool:
    """Return whether `node` samples as SLPT's and SPIGA's graphs do.

    That is a GridSample: bilinear, zeros outside, corners not aligned.
    """
    attributes = node.attributes
    return (
        node.op_type == "GridSample"
        and node.domain in STANDARD_DOMAINS
        and attributes.get_string("mode", "bilinear") == "bilinear"
        and attributes.get_string("padding_mode", "zeros") == "zeros"
        and attributes.get_int("align_corners", 0) == 0
    )


def _replace(graph: ir.Graph, node: ir.Node) -> None:
    old = node.outputs[0]
    new = ir.Value(name=old.name, type=old.type, shape=old.shape)
    inputs = [value for value in node.inputs if value is not None]
    custom = custom_node(PATCH_CROP, inputs, output=new, name=node_name(node))
    ir.convenience.replace_nodes_and_values(graph, node, [node], [custom], [old], [new])
