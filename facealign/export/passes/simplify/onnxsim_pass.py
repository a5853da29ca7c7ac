"""Run onnxsim: constant folding, and the fusions and eliminations of the ONNX optimizer."""

from __future__ import annotations

import onnx_ir as ir
import onnxsim
from onnx_ir.passes import FunctionalPass, PassResult

from facealign.errors import GraphContractError

__all__ = ["OnnxsimPass"]


class OnnxsimPass(FunctionalPass):
    """onnxsim as a pass; its own check of the result must hold."""

    def call(self, model: ir.Model) -> PassResult:
        """Return a simplified copy of `model`."""
        before = len(model.graph)
        proto, is_valid = onnxsim.simplify(ir.to_proto(model))
        if not is_valid:
            raise GraphContractError(
                "onnxsim changed what the graph computes; this is a defect of onnxsim, "
                "so report it with the checkpoint's family and the versions of `pip freeze`"
            )
        simplified = ir.from_proto(proto)
        return PassResult(simplified, modified=len(simplified.graph) != before)
