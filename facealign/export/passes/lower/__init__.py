"""Graphs for engines that lack an operator, or have a better one: in which form a graph says it.

A graph is exported in standard operators of opset 19. `lower` writes the same function in another
form; every form gives the same landmarks up to rounding. It comes last, behind FP16 and Q/DQ:
those passes know coordinates by the GridSample that reads them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir
from onnx_ir.passes import InPlacePass
from onnx_ir.passes import common as library

from facealign.errors import GraphContractError
from facealign.export.graph import infer_and_check
from facealign.export.passes.lower.custom_operator import drop_functions
from facealign.export.passes.lower.gather_patch_crop import GatherPatchCropPass
from facealign.export.passes.lower.layer_normalization import DecomposeLayerNormalizationPass
from facealign.export.passes.lower.lower_opset import LowerOpsetPass
from facealign.export.passes.lower.patch_crop import PATCH_CROP, CustomPatchCropPass
from facealign.export.passes.lower.sparse_graph_conv import SPARSE_GRAPH_CONV, SparseGraphConvPass

__all__ = ["Form", "LayerNormalizationForm", "Opset", "lower"]

logger = logging.getLogger(__name__)

_SOURCES = (17, 18, 19)

Form = Literal["standard", "function", "plugin", "gather"]
LayerNormalizationForm = Literal["standard", "decomposed"]
Opset = Literal[17, 19]


def lower(
    model: ir.Model,
    *,
    patch_crop: Form = "standard",
    graph_convolution: Form = "standard",
    layer_normalization: LayerNormalizationForm = "standard",
    opset: Opset = 19,
) -> ir.Model:
    """Return a copy of `model` that says the same in other operators.

    The order is fixed: patch crop, graph convolution, LayerNormalization, opset; then shapes are
    inferred anew and the ONNX checker has its say. Where there is nothing of a kind, that is
    logged and the graph stays as it is.

    Args:
        model: A graph as `finish_graph` gives it, also in FP16 or with Q/DQ.
        patch_crop: ``standard`` is GridSample. ``function`` is ``facealign::PatchCrop`` with its
            ONNX function body, for every runtime, and for TensorRT from 10.7 on with our plugin or
            without. ``plugin`` is the same without a body, for TensorRT from 10.3 on with our
            plugin; before 10.7 the body would win over it. ``gather`` has no GridSample, for
            TensorRT before 8.5.
        graph_convolution: ``standard`` is a dense MatMul with the adjacency. ``function`` and
            ``plugin`` are ``facealign::SparseGraphConv``, as above. ``gather`` is a sum over
            neighbours in standard operators.
        layer_normalization: ``decomposed`` is in FP32 operators, for TensorRT before 8.6.
        opset: 17 for TensorRT 8.4 to 8.6, 19 for 10 and newer.

    Raises:
        GraphContractError: If the graph cannot be written that way; it names the node.
    """
    source = model.opset_imports.get("", 0)
    if source not in _SOURCES:
        raise GraphContractError(
            f"only graphs of opset 17 to 19 can be written in other forms, got {source}; "
            "export it as opset 19"
        )
    lowered, modified = model.clone(), False
    for name, step in _steps(patch_crop, graph_convolution, layer_normalization):
        if step(lowered).modified:
            modified = True
        else:
            logger.info("no %s in the graph; it stays as it is", name)
    if modified:
        _share_and_drop(lowered)
    if opset < source:
        modified |= LowerOpsetPass()(lowered).modified
    if not modified:
        return lowered
    _check_names(lowered.graph)
    checked = infer_and_check(lowered)
    # Only now: without its body nobody could infer what an operator of ours gives, or check it.
    forms = {PATCH_CROP: patch_crop, SPARSE_GRAPH_CONV: graph_convolution}
    drop_functions(checked, [op_type for op_type, form in forms.items() if form == "plugin"])
    return checked


def _steps(
    patch_crop: Form, graph_convolution: Form, layer_normalization: LayerNormalizationForm
) -> Iterator[tuple[str, InPlacePass]]:
    """Return the passes with what they look for, in the order in which they run."""
    if patch_crop == "gather":
        yield "patch crop", GatherPatchCropPass()
    elif patch_crop != "standard":
        yield "patch crop", CustomPatchCropPass()
    if graph_convolution != "standard":
        form: Literal["gather", "function"] = (
            "gather" if graph_convolution == "gather" else "function"
        )
        yield "graph convolution", SparseGraphConvPass(form)
    if layer_normalization != "standard":
        yield "LayerNormalization", DecomposeLayerNormalizationPass()


def _share_and_drop(model: ir.Model) -> None:
    """Compute once what several patch crops of one map share, and drop what none reads now."""
    library.CommonSubexpressionEliminationPass()(model)
    library.RemoveUnusedNodesPass()(model)


def _check_names(graph: ir.Graph) -> None:
    """Refuse a graph that already had a value called as a new one is: in a file they are one."""
    values = {*graph.inputs, *graph.initializers.values()}
    values |= {output for node in graph for output in node.outputs}
    counts = Counter(value.name for value in values if value.name)
    for name, count in counts.items():
        if count > 1:
            raise GraphContractError(
                f"two values of the lowered graph would be called `{name}`; "
                "rename the one that the graph has"
            )
