"""How operators that changed in opset 18 or 19 are said in opset 17."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from facealign.errors import GraphContractError
from facealign.export.graph import node_label
from facealign.export.passes.lower.writer import constant

__all__ = ["CONVERTERS", "WIDENED"]

_Body = ir.Graph | ir.Function
_FULL = ir.DataType.FLOAT

# They take types of eight bits, text or shapes that opset 17 does not; nothing else changed.
WIDENED = frozenset({"Constant", "Equal", "Identity", "Reshape", "Shape"})
_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)


def _convert_cast(_: _Body, node: ir.Node) -> None:
    node.attributes.pop("saturate", None)  # it is about types of eight bits, which are refused


def _convert_average_pool(_: _Body, node: ir.Node) -> None:
    _drop(node, "dilations", [1] * len(node.attributes.get_ints("kernel_shape", ())))
    if node.attributes.get_int("ceil_mode", 0):
        _refuse(node, "rounds its size up, which opset 19 counts otherwise")


def _convert_resize(_: _Body, node: ir.Node) -> None:
    _drop(node, "antialias", 0)
    _drop(node, "keep_aspect_ratio_policy", "stretch")
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if mode == "half_pixel_symmetric":
        _refuse(node, "has `half_pixel_symmetric`, which came with opset 19")
    if "axes" in node.attributes:
        _refuse(node, "resizes some axes only, which came with opset 18")


def _convert_reduction(_: _Body, node: ir.Node) -> None:
    keeps_if_empty = node.attributes.get_int("noop_with_empty_axes", 0)
    node.attributes.pop("noop_with_empty_axes", None)
    axes = _operand(node, 1)
    if axes is not None and axes.size:
        node.attributes["axes"] = ir.AttrInt64s("axes", axes.tolist())
    elif keeps_if_empty:
        _refuse(node, "reduces no axis")
    if len(node.inputs) > 1:
        node.resize_inputs(1)


def _convert_split(graph: _Body, node: ir.Node) -> None:
    count = node.attributes.get_int("num_outputs", 0)
    node.attributes.pop("num_outputs", None)
    if not count:
        return
    shape = None if node.inputs[0] is None else node.inputs[0].shape
    size = None if shape is None else shape[node.attributes.get_int("axis", 0)]
    if not isinstance(size, int) or not isinstance(graph, ir.Graph):
        _refuse(node, "splits an axis of unknown size")
    if size % count == 0:
        return
    part = -(-size // count)
    parts = [part] * (count - 1) + [size - part * (count - 1)]
    _set_input(node, 1, constant(graph, np.array(parts, dtype=np.int64), "split.parts"))


def _convert_pad(graph: _Body, node: ir.Node) -> None:
    if node.attributes.get_string("mode", "constant") == "wrap":
        _refuse(node, "has mode `wrap`, which came with opset 19")
    axes = _operand(node, 3)
    if axes is None:
        return
    pads, shape = _operand(node, 1), None if node.inputs[0] is None else node.inputs[0].shape
    if pads is None or shape is None or not isinstance(graph, ir.Graph):
        _refuse(node, "pads an input of unknown rank, or by a size that is not constant")
    full = np.zeros((2, len(shape)), dtype=np.int64)
    full[:, axes] = pads.reshape(2, -1)
    _set_input(node, 1, constant(graph, full.reshape(-1), "pad.all_axes"))
    node.resize_inputs(3)


def _convert_quantize(graph: _Body, node: ir.Node) -> None:
    node.attributes.pop("saturate", None)
    value = node.inputs[0]
    _widen_scale(graph, node)
    if value is None or value.dtype != ir.DataType.FLOAT16:
        return
    wide = _value(f"{node.outputs[0].name}.fp32", value, _FULL)
    cast = ir.node("Cast", [value], {"to": int(_FULL)}, outputs=[wide], name=wide.name)
    graph.insert_before(node, cast)
    node.replace_input_with(0, wide)


def _convert_dequantize(graph: _Body, node: ir.Node) -> None:
    if not _widen_scale(graph, node):
        return
    old = node.outputs[0]
    narrow = _value(str(old.name), old, ir.DataType.FLOAT16)
    old.name, old.type = f"{old.name}.fp32", ir.TensorType(_FULL)
    old.replace_all_uses_with(narrow, replace_graph_outputs=True)
    to = {"to": int(ir.DataType.FLOAT16)}
    cast = ir.node("Cast", [old], to, outputs=[narrow], name=narrow.name)
    graph.insert_after(node, cast)


def _widen_scale(graph: _Body, node: ir.Node) -> bool:
    """Make an FP16 scale FP32, which is all that opset 17 takes; return whether it was FP16."""
    scale = node.inputs[1]
    if scale is None or scale.dtype != ir.DataType.FLOAT16:
        return False
    array = _operand(node, 1)
    if array is None or not isinstance(graph, ir.Graph):
        _refuse(node, "has an FP16 scale that is not constant")
    _set_input(node, 1, constant(graph, array.astype(np.float32), f"{scale.name}.fp32"))
    return True


def _drop(node: ir.Node, name: str, meant: object) -> None:
    """Take an attribute away that opset 17 does not have; it must say what that means anyway."""
    attribute = node.attributes.pop(name, None)
    if attribute is None:
        return
    value = list(attribute.value) if isinstance(meant, list) else attribute.value
    if value != meant:
        _refuse(node, f"has `{name}` {attribute.value!r}, and opset 17 can only mean {meant!r}")


def _operand(node: ir.Node, position: int) -> NDArray[Any] | None:
    """Return a constant input; None where there is none."""
    value = node.inputs[position] if position < len(node.inputs) else None
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None:
        _refuse(node, f"computes its input {position}, which must be constant")
    return tensor.numpy()


def _set_input(node: ir.Node, position: int, value: ir.Value) -> None:
    if len(node.inputs) <= position:
        node.resize_inputs(position + 1)
    node.replace_input_with(position, value)


def _value(name: str, like: ir.Value, dtype: ir.DataType) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(dtype), shape=like.shape)


def _refuse(node: ir.Node, why: str) -> NoReturn:
    raise GraphContractError(
        f"{node_label(node)} cannot be written in opset 17: it {why}; "
        "choose a target with TensorRT 10 or newer"
    )


CONVERTERS: Mapping[str, Callable[[_Body, ir.Node], None]] = {
    "AveragePool": _convert_average_pool,
    "Cast": _convert_cast,
    "DequantizeLinear": _convert_dequantize,
    "Pad": _convert_pad,
    "QuantizeLinear": _convert_quantize,
    "Resize": _convert_resize,
    "Split": _convert_split,
    **dict.fromkeys(_REDUCTIONS, _convert_reduction),
}
