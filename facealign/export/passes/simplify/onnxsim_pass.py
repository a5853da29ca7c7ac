"""Run onnxsim: constant folding, and the fusions and eliminations of the ONNX optimizer."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import onnxsim
from onnx_ir.passes import FunctionalPass, PassResult

from facealign.errors import GraphContractError

__all__ = ["OnnxsimPass"]


class OnnxsimPass(FunctionalPass):
    """onnxsim as a pass; its own check of the result must hold."""

    def call(self, model: ir.Model) -> PassResult:
        """Return a simplified copy of `model`."""
        before = ir.to_proto(model)
        proto, is_valid = onnxsim.simplify(before)
        if not is_valid:
            raise GraphContractError(
                "onnxsim changed what the graph computes; this is a defect of onnxsim, "
                "so report it with the checkpoint's family and the versions of `pip freeze`"
            )
        return PassResult(ir.from_proto(proto), modified=_nodes(proto) != _nodes(before))


def _nodes(proto: onnx.ModelProto) -> list[bytes]:
    """Return every node but for its name, which onnxsim gives where there is none."""
    nodes = []
    for node in proto.graph.node:
        unnamed = onnx.NodeProto()
        unnamed.CopyFrom(node)
        unnamed.ClearField("name")
        nodes.append(unnamed.SerializeToString(deterministic=True))
    return nodes
