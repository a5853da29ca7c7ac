"""Write the sizes that a Resize computes at run time as constant scales."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult

__all__ = ["ConstantResizeScalesPass"]

_SCALES, _SIZES = 2, 3  # input positions of Resize


class ConstantResizeScalesPass(InPlacePass):
    """Replace ``Resize(x, sizes=[B, C, h, w])`` by ``Resize(x, scales=[1, 1, h/H, w/W])``.

    The exporter asks for sizes because the batch is dynamic. With scales the shape arithmetic is
    gone, and ONNX Runtime may keep the map in its blocked layout. Only whole scale factors are
    taken: for them both forms give the same output size and the same sample positions in every
        coordinate mode.
    """

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite every Resize of `model` whose spatial sizes are known."""
        modified = False
        for node in model.graph:
            if (
                node.op_type != "Resize"
                or len(node.inputs) <= _SIZES
                or node.inputs[_SIZES] is None
            ):
                continue
            scales = _whole_scales(node)
            if scales is None:
                continue
            name = f"{node.outputs[0].name}.scales"
            value = ir.Value(name=name, const_value=ir.tensor(scales, name=name))
            value.dtype, value.shape = ir.DataType.FLOAT, ir.Shape([len(scales)])
            model.graph.initializers.add(value)
            node.replace_input_with(_SCALES, value)
            node.resize_inputs(_SCALES + 1)
            modified = True
        return PassResult(model, modified=modified)


def _whole_scales(node: ir.Node) -> np.ndarray | None:
    """Return ``[1, 1, h/H, w/W]``, or nothing where a size is unknown or a factor is not whole."""
    before = node.inputs[0].shape if node.inputs[0] is not None else None
    after = node.outputs[0].shape
    if before is None or after is None or len(before) != len(after):
        return None
    factors = [1.0, 1.0]
    for small, large in zip(list(before)[2:], list(after)[2:], strict=True):
        if not isinstance(small, int) or not isinstance(large, int) or large % small:
            return None
        factors.append(float(large // small))
    return np.array(factors, dtype=np.float32)
