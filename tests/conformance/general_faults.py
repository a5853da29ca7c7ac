"""Faults to plant in any graph, whatever its family: in its input, its weights, its outputs.

Each spoils a graph in place and returns whether there was anything to spoil.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = ["GENERAL_FAULTS", "Plant"]

Plant = Callable[[ir.Model], bool]
GENERAL_FAULTS: dict[str, Plant] = {}
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LEAST_WEIGHTS = 64  # smaller ones are scales, or steer a gate that may be shut in a tiny network


def _listed(plant: Plant) -> Plant:
    GENERAL_FAULTS[getattr(plant, "__name__", "")] = plant
    return plant


@_listed
def channels_of_image_reversed(graph: ir.Model) -> bool:
    return _gather_image(graph, axis=3, order=lambda size: np.arange(size)[::-1])


@_listed
def image_mirrored(graph: ir.Model) -> bool:
    return _gather_image(graph, axis=2, order=lambda size: np.arange(size)[::-1])


@_listed
def image_upside_down(graph: ir.Model) -> bool:
    return _gather_image(graph, axis=1, order=lambda size: np.arange(size)[::-1])


@_listed
def image_shifted_by_one_pixel(graph: ir.Model) -> bool:
    return _gather_image(graph, axis=2, order=lambda size: np.maximum(np.arange(size) - 1, 0))


@_listed
def rows_and_columns_of_image_exchanged(graph: ir.Model) -> bool:
    exchange = {"perm": [0, 2, 1, 3]}
    return _replace_image(graph, lambda image: [ir.node("Transpose", [image], exchange)])


@_listed
def first_image_of_batch_repeated(graph: ir.Model) -> bool:
    first = _constant(graph, np.array([0]))

    def repeat(image: ir.Value) -> list[ir.Node]:
        picked = ir.node("Gather", [image, first], {"axis": 0})
        shape = ir.node("Shape", [image])
        return [picked, shape, ir.node("Expand", [picked.outputs[0], shape.outputs[0]])]

    return _replace_image(graph, repeat)


@_listed
def x_and_y_exchanged(graph: ir.Model) -> bool:
    order = _constant(graph, np.array([1, 0]))
    return _replace_landmarks(graph, lambda xy: [ir.node("Gather", [xy, order], {"axis": 2})])


@_listed
def two_landmarks_exchanged(graph: ir.Model) -> bool:
    count = _size(graph.graph.outputs[0], 1)
    order = np.arange(count)
    order[[0, count // 2]] = order[[count // 2, 0]]
    indices = _constant(graph, order)
    return _replace_landmarks(graph, lambda xy: [ir.node("Gather", [xy, indices], {"axis": 1})])


@_listed
def landmarks_moved_by_half_a_pixel(graph: ir.Model) -> bool:
    half = 0.5 / _size(graph.graph.inputs[0], 1)
    step = _constant(graph, np.full(2, half, np.float32))
    return _replace_landmarks(graph, lambda xy: [ir.node("Add", [xy, step])])


@_listed
def landmarks_added_in_half_precision(graph: ir.Model) -> bool:
    """Add a third and take it off again; quarters of a cell are exact in half precision."""
    third = _constant(graph, np.array(1 / 3, np.float32))

    def rounded(xy: ir.Value) -> list[ir.Node]:
        added = ir.node("Add", [xy, third])
        down = ir.node("Cast", [added.outputs[0]], {"to": ir.DataType.FLOAT16})
        up = ir.node("Cast", [down.outputs[0]], {"to": ir.DataType.FLOAT})
        return [added, down, up, ir.node("Sub", [up.outputs[0], third])]

    return _replace_landmarks(graph, rounded)


@_listed
def landmarks_clipped_to_the_inner_half_of_the_crop(graph: ir.Model) -> bool:
    low, high = (_constant(graph, np.array(edge, np.float32)) for edge in (0.45, 0.55))
    return _replace_landmarks(graph, lambda xy: [ir.node("Clip", [xy, low, high])])


@_listed
def first_weights_with_channels_rolled(graph: ir.Model) -> bool:
    return _change_weights(graph, 0.0, lambda weight: np.roll(weight, 1, axis=0))


@_listed
def middle_weights_with_channels_rolled(graph: ir.Model) -> bool:
    return _change_weights(graph, 0.5, lambda weight: np.roll(weight, 1, axis=0))


@_listed
def first_weights_two_percent_too_large(graph: ir.Model) -> bool:
    return _change_weights(graph, 0.0, lambda weight: weight * np.float32(1.02))


@_listed
def middle_weights_negated(graph: ir.Model) -> bool:
    return _change_weights(graph, 0.5, np.negative)


@_listed
def last_weights_five_percent_too_large(graph: ir.Model) -> bool:
    return _change_weights(graph, 1.0, lambda weight: weight * np.float32(1.05))


@_listed
def relu_of_slope_one_tenth(graph: ir.Model) -> bool:
    nodes = _nodes(graph, "Relu")
    for node in nodes:
        node.op_type = "LeakyRelu"
        node.attributes["alpha"] = ir.AttrFloat32("alpha", 0.1)
    return bool(nodes)


@_listed
def average_in_place_of_largest(graph: ir.Model) -> bool:
    nodes = _nodes(graph, "MaxPool")
    for node in nodes:
        for name in ("storage_order", "dilations"):
            node.attributes.pop(name, None)
        node.op_type = "AveragePool"
    return bool(nodes)


@_listed
def zeros_in_place_of_reflection(graph: ir.Model) -> bool:
    nodes = [node for node in _nodes(graph, "Pad") if "mode" in node.attributes]
    for node in nodes:
        del node.attributes["mode"]
    return bool(nodes)


@_listed
def grid_sample_aligns_corners(graph: ir.Model) -> bool:
    nodes = _nodes(graph, "GridSample")
    for node in nodes:
        node.attributes["align_corners"] = ir.AttrInt64("align_corners", 1)
    return bool(nodes)


@_listed
def grid_sample_takes_nearest(graph: ir.Model) -> bool:
    nodes = _nodes(graph, "GridSample")
    for node in nodes:
        node.attributes["mode"] = ir.AttrString("mode", "nearest")
    return bool(nodes)


@_listed
def softmax_over_another_axis(graph: ir.Model) -> bool:
    nodes = _nodes(graph, "Softmax")
    for node in nodes:
        rank = len(node.outputs[0].shape or ())
        is_last = node.attributes.get_int("axis", -1) in (-1, rank - 1)
        node.attributes["axis"] = ir.AttrInt64("axis", -2 if is_last else -1)
    return bool(nodes)


@_listed
def resize_asymmetric(graph: ir.Model) -> bool:
    nodes = [n for n in _nodes(graph, "Resize") if n.attributes.get_string("mode") == "linear"]
    for node in nodes:
        mode = ir.AttrString("coordinate_transformation_mode", "asymmetric")
        node.attributes["coordinate_transformation_mode"] = mode
    return bool(nodes)


@_listed
def extra_output_one_percent_too_large(graph: ir.Model) -> bool:
    if len(graph.graph.outputs) < 2:
        return False
    factor = _constant(graph, np.array(1.01, np.float32))
    return _replace_output(graph, 1, lambda value: [ir.node("Mul", [value, factor])])


def _gather_image(graph: ir.Model, *, axis: int, order: Callable[[int], NDArray[np.int64]]) -> bool:
    indices = _constant(graph, order(_size(graph.graph.inputs[0], axis)))
    along = {"axis": axis}
    return _replace_image(graph, lambda image: [ir.node("Gather", [image, indices], along)])


def _replace_image(graph: ir.Model, make: Callable[[ir.Value], list[ir.Node]]) -> bool:
    """Hand what `make` makes of the image to all that read the image."""
    image = graph.graph.inputs[0]
    uses = list(image.uses())
    nodes = make(image)
    graph.graph.insert_before(graph.graph[0], nodes)
    for node, index in uses:
        node.replace_input_with(index, nodes[-1].outputs[0])
    return True


def _replace_landmarks(graph: ir.Model, make: Callable[[ir.Value], list[ir.Node]]) -> bool:
    return _replace_output(graph, 0, make)


def _replace_output(graph: ir.Model, index: int, make: Callable[[ir.Value], list[ir.Node]]) -> bool:
    """Put what `make` makes of an output in its place, under its name."""
    before = graph.graph.outputs[index]
    nodes = make(before)
    graph.graph.extend(nodes)
    after = nodes[-1].outputs[0]
    after.name, before.name = before.name, f"{before.name}_before"
    after.type, after.shape = before.type, before.shape
    graph.graph.outputs[index] = after
    return True


def _change_weights(
    graph: ir.Model, place: float, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> bool:
    """Change the weights of one product: the first for place 0, the last for place 1."""
    weights = [
        value
        for node in graph.graph
        if node.op_type in _WEIGHTED
        for value in node.inputs[:2]
        if value is not None and _is_learned(_array(value))
    ]
    value = weights[round(place * (len(weights) - 1))]
    array = np.ascontiguousarray(change(_array(value)))
    value.const_value = ir.tensor(array, name=value.name)
    return True


def _is_learned(array: NDArray[np.float32]) -> bool:
    return array.size >= _LEAST_WEIGHTS and bool(np.ptp(array) > 0)


def _array(value: ir.Value) -> NDArray[np.float32]:
    """Return a constant, or nothing of what is computed."""
    if value.const_value is None:
        return np.empty(0, np.float32)
    return np.asarray(value.const_value.numpy(), np.float32)


def _size(value: ir.Value, axis: int) -> int:
    assert value.shape is not None
    size = value.shape[axis]
    assert isinstance(size, int)
    return size


def _nodes(graph: ir.Model, op_type: str) -> list[ir.Node]:
    return [node for node in graph.graph if node.op_type == op_type]


def _constant(graph: ir.Model, array: NDArray[np.generic]) -> ir.Value:
    name = f"planted_{len(graph.graph.initializers)}"
    value = ir.Value(name=name, const_value=ir.tensor(np.ascontiguousarray(array), name=name))
    graph.graph.initializers.add(value)
    return value
