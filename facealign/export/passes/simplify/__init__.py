"""The passes that make a traced graph small, in the order in which they run."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import PassError, Sequential
from onnx_ir.passes import common as library

from facealign.errors import GraphContractError
from facealign.export.passes.simplify.constant_resize_scales import ConstantResizeScalesPass
from facealign.export.passes.simplify.drop_outputs import DropOutputsPass
from facealign.export.passes.simplify.onnxsim_pass import OnnxsimPass
from facealign.export.passes.simplify.shape_of_cast import ShapeOfCastPass

__all__ = ["simplify"]


def simplify(model: ir.Model, *, outputs: tuple[str, ...]) -> ir.Model:
    """Return `model` simplified; values that are outputs now and not in `outputs` keep their names.

    Args:
        model: A traced graph, its probes still among its outputs so that no pass fuses them away.
        outputs: Names of the outputs to keep.

    Raises:
        GraphContractError: If a pass finds that it cannot keep what the graph computes.
    """
    passes = Sequential(
        OnnxsimPass(),
        ConstantResizeScalesPass(),
        ShapeOfCastPass(),
        library.CommonSubexpressionEliminationPass(),
        library.DeduplicateInitializersPass(),
        DropOutputsPass(keep=outputs),
        library.RemoveUnusedNodesPass(),
        library.RemoveUnusedOpsetsPass(),
        library.ClearMetadataAndDocStringPass(),
        library.TopologicalSortPass(),
    )
    try:
        return passes(model).model
    except PassError as error:
        # onnx-ir wraps what a pass raises, with the names of the passes before it.
        raise GraphContractError(str(error.__cause__ or error)) from error
