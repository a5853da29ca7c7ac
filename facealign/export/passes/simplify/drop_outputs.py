"""Take probes off the outputs of a graph; their values stay inside it under their names."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

__all__ = ["DropOutputsPass"]


class DropOutputsPass(InPlacePass):
    """Keep the outputs that are named, in that order."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        super().__init__()
        self._keep = keep

    def call(self, model: ir.Model) -> PassResult:
        """Reorder and shorten the outputs of `model`.

        Raises:
            KeyError: If a name to keep is no output.
        """
        by_name = {value.name: value for value in model.graph.outputs}
        kept = [by_name[name] for name in self._keep]
        modified = kept != list(model.graph.outputs)
        if modified:
            model.graph.outputs.clear()
            model.graph.outputs.extend(kept)
        return PassResult(model, modified=modified)
