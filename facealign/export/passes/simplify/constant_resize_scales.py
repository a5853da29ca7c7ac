"""Write the sizes that a Resize computes at run time as constant scales."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
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
        """Rewrite every Resize of a map whose height and width are known."""
        modified = False
        for node in model.graph:
            scales = _whole_scales(node) if _resizes_a_map_by_size(node) else None
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


def _resizes_a_map_by_size(node: ir.Node) -> bool:
    """Return whether `node` resizes all axes of something to sizes, whatever their ratio."""
    return (
        node.op_type == "Resize"
        and len(node.inputs) > _SIZES
        and node.inputs[_SIZES] is not None
        and "axes" not in node.attributes
        and node.attributes.get_string("keep_aspect_ratio_policy", "stretch") == "stretch"
    )


def _whole_scales(node: ir.Node) -> NDArray[np.float32] | None:
    """Return ``[1, 1, h/H, w/W]``, or nothing where a size is unknown or a factor is not whole."""
    before = node.inputs[0].shape if node.inputs[0] is not None else None
    after = node.outputs[0].shape
    if before is None or after is None or not len(before) == len(after) == 4:
        return None
    if not isinstance(before[1], int) or before[1] != after[1]:
        return None  # channels last, or not a map
    factors = [1.0, 1.0]
    for small, large in zip(list(before)[2:], list(after)[2:], strict=True):
        if not isinstance(small, int) or not isinstance(large, int) or large % small:
            return None
        factors.append(float(large // small))
    return np.array(factors, dtype=np.float32)
