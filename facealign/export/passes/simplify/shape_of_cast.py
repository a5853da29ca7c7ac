"""Ask for the shape of the picture where it is no longer of uint8."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

__all__ = ["ShapeOfCastPass"]


class ShapeOfCastPass(InPlacePass):
    """Let Shape read what a Cast gives instead of the UINT8 that it takes.

    TensorRT takes UINT8 as an input of the network, for a Cast, and lists no Shape of it
    (onnx-tensorrt ``docs/operators.md``, 8.5-GA to 11.1). A topological sort must follow, as the
    Cast may come after the Shape.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Move every Shape of a UINT8 value that a Cast reads too."""
        modified = False
        for node in model.graph:
            value = node.inputs[0] if node.op_type == "Shape" else None
            cast = None if value is None else _cast_of(value)
            if cast is not None:
                node.replace_input_with(0, cast)
                modified = True
        return PassResult(model, modified=modified)


def _cast_of(value: ir.Value) -> ir.Value | None:
    """Return what the first Cast of a UINT8 value gives."""
    if value.dtype != ir.DataType.UINT8:
        return None
    casts = (use.node.outputs[0] for use in value.uses() if use.node.op_type == "Cast")
    return next(casts, None)
