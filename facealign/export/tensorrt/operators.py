"""Rules on operators: those that TensorRT misreads, and settings that it does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

from facealign.export.graph import node_label, node_name
from facealign.export.lint import GRID_SAMPLE_MODES
from facealign.export.tensorrt.by_release import grid_sample_ranks, without_importer
from facealign.export.tensorrt.values import (
    Problem,
    constant_array,
    each_node,
    input_of,
    is_constant,
    opset_of,
)
from facealign.targets.operators import table_names

__all__ = [
    "constant_operands",
    "grid_sample_border",
    "grid_sample_opset",
    "grid_sample_rank",
    "grid_sample_settings",
    "layer_normalization",
    "operators_without_importer",
    "pooling",
    "resize_settings",
    "resize_sizes",
    "top_k",
]

_GREATEST_GRID_SAMPLE_OPSET = 19
_GRID_SAMPLE_PADDINGS = ("zeros", "border", "reflection")
_LEAST_K_REFUSED = 3840
_TABLES = tuple(table_names()[table_names().index("10.3") :])
_CONSTANT_OPERANDS = {
    "TopK": ((1, "K"),),
    "Squeeze": ((1, "axes"),),
    "Unsqueeze": ((1, "axes"),),
    "Slice": ((3, "axes"),),
    "Pad": ((3, "axes"),),
    "CumSum": ((1, "axis"),),
    "OneHot": ((1, "depth"),),
}
_RESIZE_SETTINGS = {
    "mode": ("nearest", ("nearest", "linear")),
    "keep_aspect_ratio_policy": ("stretch", ("stretch",)),
    "coordinate_transformation_mode": (
        "half_pixel",
        (
            "half_pixel",
            "pytorch_half_pixel",
            "tf_half_pixel_for_nn",
            "asymmetric",
            "align_corners",
        ),
    ),
    "nearest_mode": (
        "round_prefer_floor",
        ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    ),
}


def grid_sample_opset(model: ir.Model) -> Iterator[Problem]:
    """Find GridSample of opset 20, whose spelling of the mode TensorRT silently reads as nearest.

    Source: facts/tensorrt.md sec. 2.1 and 3.1; onnx_support.json note ``gridsample-mode``;
    NVIDIA/TensorRT#4646, onnx/onnx-tensorrt#1060. Whether 11.2 to 11.4 still do is not known.
    """
    opset = opset_of(model)
    if opset <= _GREATEST_GRID_SAMPLE_OPSET:
        return
    for node in model.graph.all_nodes():
        if node.op_type == "GridSample":
            yield Problem(
                f"{node_label(node)} is at opset {opset}, which TensorRT silently runs as nearest",
                "export with opset 19",
                (node_name(node),),
            )


@each_node
def grid_sample_rank(node: ir.Node) -> Iterator[Problem]:
    """Find GridSample of maps that are not 4-D.

    Source: facts/tensorrt.md sec. 2.1 (4-D until 11.2).
    """
    yield from grid_sample_ranks(node, (4,))


@each_node
def grid_sample_settings(node: ir.Node) -> Iterator[Problem]:
    """Find GridSample with a mode or padding that the importer lacks.

    Source: facts/tensorrt.md sec. 2.1 (modes of opset 16 alone).
    """
    if node.op_type != "GridSample":
        return
    mode = node.attributes.get_string("mode", "bilinear")
    if mode not in GRID_SAMPLE_MODES:
        yield Problem(
            f"{node_label(node)} has mode {mode!r}",
            "TensorRT reads it as nearest, so write one of "
            f"{', '.join(GRID_SAMPLE_MODES)} at opset 19 or below",
        )
    padding = node.attributes.get_string("padding_mode", "zeros")
    if padding not in _GRID_SAMPLE_PADDINGS:
        yield Problem(
            f"{node_label(node)} has padding {padding!r}",
            f"write one of {', '.join(_GRID_SAMPLE_PADDINGS)}",
        )


@each_node
def grid_sample_border(node: ir.Node) -> Iterator[Problem]:
    """Warn of border padding, of which one report says that it came out wrong.

    Source: facts/tensorrt.md sec. 3.1, pytorch/TensorRT#3674 (closed).
    """
    if node.attributes.get_string("padding_mode") == "border" and node.op_type == "GridSample":
        yield Problem(
            f"{node_label(node)} pads with the border, once reported wrong (pytorch/TensorRT#3674)",
            "test it on the device, or clamp the grid and pad with zeros",
        )


@each_node
def operators_without_importer(node: ir.Node) -> Iterator[Problem]:
    """Find operators that some release from 10.3 to 11.4 cannot read.

    Source: onnx_support.json: no row or unsupported (``_about.absent_op``), or first release.
    """
    yield from without_importer(node, _TABLES, "TensorRT 10.3 to 11.4")


@each_node
def constant_operands(node: ir.Node) -> Iterator[Problem]:
    """Find axes, sizes and counts that are computed where TensorRT wants a constant.

    Source: facts/tensorrt.md sec. 2.1 (Reduce, Squeeze, Unsqueeze, TopK) and the restrictions in
    onnx_support.json of 10.3 (Slice, Pad, CumSum, OneHot).
    """
    operands = _CONSTANT_OPERANDS.get(node.op_type, ())
    if node.op_type.startswith("Reduce"):
        operands = ((1, "axes"),)
    yield from _computed(node, operands)


@each_node
def resize_sizes(node: ir.Node) -> Iterator[Problem]:
    """Warn of Resize to sizes or by scales that are computed: no fact forbids them.

    Source: facts/tensorrt.md sec. 3.1 (NVIDIA/TensorRT#4846: 11.1 and 11.2 resize wrongly when an
    If comes before it).
    """
    if node.op_type == "Resize":
        yield from _computed(node, ((2, "scales"), (3, "sizes")))


def _computed(node: ir.Node, operands: Iterable[tuple[int, str]]) -> Iterator[Problem]:
    for index, what in operands:
        value = input_of(node, index)
        if value is not None and not is_constant(value):
            yield Problem(
                f"{node_label(node)} computes its {what} `{value.name}`",
                "make them an initializer",
            )


@each_node
def top_k(node: ir.Node) -> Iterator[Problem]:
    """Find TopK of too many, or unsorted.

    Source: facts/tensorrt.md sec. 2.1: K below 3840 and sorted=1 in 10.x and 11.x.
    """
    if node.op_type != "TopK":
        return
    count = constant_array(input_of(node, 1))
    if count is not None and count.size == 1 and int(count.item()) >= _LEAST_K_REFUSED:
        yield Problem(
            f"{node_label(node)} has K = {int(count.item())}",
            f"it must be below {_LEAST_K_REFUSED}",
        )
    if node.attributes.get_int("sorted", 1) != 1:
        yield Problem(
            f"{node_label(node)} is not sorted",
            "set sorted=1",
        )


@each_node
def resize_settings(node: ir.Node) -> Iterator[Problem]:
    """Find modes of Resize that TensorRT lacks.

    Source: facts/tensorrt.md sec. 2.1 and the restrictions in onnx_support.json.
    """
    if node.op_type != "Resize":
        return
    for name, (default, known) in _RESIZE_SETTINGS.items():
        found = node.attributes.get_string(name, default)
        if found not in known:
            yield Problem(
                f"{node_label(node)} has {name} {found!r}",
                f"write one of {', '.join(known)}",
            )
    if node.attributes.get_int("antialias", 0):
        yield Problem(
            f"{node_label(node)} antialiases, which TensorRT does not",
            "set antialias=0",
        )
    axes = list(node.attributes.get_ints("axes", ()))
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    if axes and (shape is None or axes != list(range(len(shape)))):
        yield Problem(
            f"{node_label(node)} resizes axes {axes} alone",
            "give a scale for every axis in order",
        )


@each_node
def pooling(node: ir.Node) -> Iterator[Problem]:
    """Find pools that are dilated, 1-D, or give indices.

    Source: the restrictions of AveragePool and MaxPool in onnx_support.json, 10.3 to 11.4.
    """
    if node.op_type not in ("AveragePool", "MaxPool"):
        return
    if any(step != 1 for step in node.attributes.get_ints("dilations", ())):
        yield Problem(
            f"{node_label(node)} is dilated, which TensorRT's pools are not",
            "gather the steps",
        )
    if len(node.attributes.get_ints("kernel_shape", ())) not in (2, 3):
        yield Problem(
            f"{node_label(node)} is not 2-D or 3-D",
            "unsqueeze to a map",
        )
    if _is_used(node, 1):
        yield Problem(
            f"{node_label(node)} gives indices, which TensorRT does not",
            "use the values alone",
        )


@each_node
def layer_normalization(node: ir.Node) -> Iterator[Problem]:
    """Find LayerNormalization that gives its statistics, or sums in the type of its input.

    Source: facts/tensorrt.md sec. 2.1: output 0 alone; `stash_type` becomes the compute precision.
    """
    if node.op_type != "LayerNormalization":
        return
    if _is_used(node, 1) or _is_used(node, 2):
        yield Problem(
            f"{node_label(node)} gives mean or deviation",
            "use its first output alone, as TensorRT gives no other",
        )
    if node.attributes.get_int("stash_type", 1) != 1:
        yield Problem(
            f"{node_label(node)} does not sum in FP32 and may overflow",
            "set stash_type=1",
        )


def _is_used(node: ir.Node, output: int) -> bool:
    if output >= len(node.outputs):
        return False
    value = node.outputs[output]
    return value.is_graph_output() or bool(value.uses())
