"""Faults to plant in the tiny SLPT: mistakes that an exporter, a pass or a rewrite could make.

Each is a small function that spoils what it is given; its name is its id. There are four places to
plant one: the network before the rewrite, the rewritten module, the graph, and the graph's form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from facealign.models.families.slpt.exportable import ExportableSlpt
from facealign.models.families.slpt.network import IMAGENET_STD_RGB, Slpt

__all__ = ["FORM_FAULTS", "GRAPH_FAULTS", "MODULE_FAULTS", "NETWORK_FAULTS", "Fault"]

Target = TypeVar("Target")
Spoil = Callable[[Target], None]
Attention = nn.MultiheadAttention


@dataclass(frozen=True, slots=True)
class Fault(Generic[Target]):
    """One mistake.

    Attributes:
        name: Its id.
        spoil: Makes it.
        sign: What betrays it: the first point that differs, or a part of the contract's complaint.
    """

    name: str
    spoil: Spoil[Target]
    sign: str


NETWORK_FAULTS: list[Fault[Slpt]] = []
MODULE_FAULTS: list[Fault[ExportableSlpt]] = []
GRAPH_FAULTS: list[Fault[ir.Model]] = []
FORM_FAULTS: list[Fault[ir.Model]] = []


def _listed_in(
    faults: list[Fault[Target]], sign: str
) -> Callable[[Spoil[Target]], Spoil[Target]]:
    def register(spoil: Spoil[Target]) -> Spoil[Target]:
        faults.append(Fault(getattr(spoil, "__name__", "").strip("_"), spoil, sign))
        return spoil

    return register


# ---------------------------------------------------------------------------- side file and weights


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_mirrored(network: Slpt) -> None:
    network.mean_shape[:, 0] = 1 - network.mean_shape[:, 0]


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_with_one_landmark_moved_by_half_a_pixel(network: Slpt) -> None:
    network.mean_shape[17, 0] += 0.5 / network.hyperparameters.crop_size_px


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_in_x_and_y_exchanged(network: Slpt) -> None:
    network.mean_shape = network.mean_shape.flip(-1)


@_listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_of_an_older_epoch(network: Slpt) -> None:
    norm = _batch_norms(network)[-1]
    _array(norm.running_mean)[:] *= 0.9


@_listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_never_loaded(network: Slpt) -> None:
    _batch_norms(network)[0].reset_running_stats()


@_listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_epsilon_of_another_framework(network: Slpt) -> None:
    for norm in _batch_norms(network):
        norm.eps = 1e-3


@_listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_left_in_training(network: Slpt) -> None:
    network.backbone.bn1.train()


@_listed_in(NETWORK_FAULTS, "backbone")
def fusion_of_coarsest_branch_left_out(network: Slpt) -> None:
    network.backbone.get_parameter("stage4.0.fuse_layers.0.3.0.weight").zero_()
    network.backbone.get_submodule("stage4.0.fuse_layers.0.3.1").reset_parameters()


@_listed_in(NETWORK_FAULTS, "backbone")
def convolution_weights_in_bfloat16(network: Slpt) -> None:
    weight = network.backbone.conv2.weight
    weight.copy_(weight.bfloat16())


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def patch_convolution_transposed(network: Slpt) -> None:
    network.feature_extractor.weight.copy_(network.feature_extractor.weight.transpose(2, 3))


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def projection_bias_left_out(network: Slpt) -> None:
    network.backbone.get_parameter("head.3.bias").zero_()


@_listed_in(NETWORK_FAULTS, "stage1.tokens")
def patch_half_length_of_seven_cells(network: Slpt) -> None:
    network.hyperparameters = replace(network.hyperparameters, half_patch_norm=7 / 64)


@_listed_in(NETWORK_FAULTS, "stage1.landmarks")
def output_bias_left_out(network: Slpt) -> None:
    network.out_layer.bias.zero_()


# ------------------------------------------------------------------------------------ transformer


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def attention_scale_missing(network: Slpt) -> None:
    for attention in _attentions(network):
        query, _, _ = attention.in_proj_weight.chunk(3)
        bias, _, _ = attention.in_proj_bias.chunk(3)
        query *= math.sqrt(attention.head_dim)
        bias *= math.sqrt(attention.head_dim)


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def heads_interleaved(network: Slpt) -> None:
    for attention in _attentions(network):
        order = torch.arange(attention.embed_dim).reshape(attention.num_heads, -1).T.reshape(-1)
        for packed in (attention.in_proj_weight, attention.in_proj_bias):
            packed.copy_(torch.cat([part[order] for part in packed.chunk(3)]))
        attention.out_proj.weight.copy_(attention.out_proj.weight[:, order])


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def keys_and_values_of_one_layer_exchanged(network: Slpt) -> None:
    attention = _attentions(network)[-1]
    for packed in (attention.in_proj_weight, attention.in_proj_bias):
        query, key, value = packed.clone().chunk(3)
        packed.copy_(torch.cat([query, value, key]))


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def value_bias_dropped(network: Slpt) -> None:
    attention = _attentions(network)[-1]
    attention.in_proj_bias.chunk(3)[2].zero_()


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def landmark_query_in_another_order(network: Slpt) -> None:
    network.Transformer.landmark_query.copy_(network.Transformer.landmark_query.roll(1, dims=1))


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def structure_encoding_dropped(network: Slpt) -> None:
    network.Transformer.structure_encoding.zero_()


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def last_decoder_layer_left_out(network: Slpt) -> None:
    decoder = network.Transformer.Transformer_block
    decoder.layers = decoder.layers[:-1]


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def layer_norm_epsilon_1e_3(network: Slpt) -> None:
    for norm in network.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-3


@_listed_in(NETWORK_FAULTS, "stage1.decoded")
def final_norm_without_its_weights(network: Slpt) -> None:
    network.Transformer.Transformer_block.norm.reset_parameters()


# -------------------------------------------------------------------------------------- the rewrite


@_listed_in(MODULE_FAULTS, "backbone")
def mean_not_subtracted(module: ExportableSlpt) -> None:
    module.mean_bgr.zero_()


@_listed_in(MODULE_FAULTS, "backbone")
def grey_levels_divided_by_256(module: ExportableSlpt) -> None:
    module.stem.weight *= 255 / 256
    module.mean_bgr *= 256 / 255


@_listed_in(MODULE_FAULTS, "backbone")
def standard_deviation_of_channels_left_out(module: ExportableSlpt) -> None:
    module.stem.weight *= torch.tensor(IMAGENET_STD_RGB).flip(0).reshape(1, 3, 1, 1)


@_listed_in(MODULE_FAULTS, "backbone")
def normalisation_missing(module: ExportableSlpt) -> None:
    standard_deviation_of_channels_left_out(module)
    mean_not_subtracted(module)


@_listed_in(MODULE_FAULTS, "backbone")
def red_and_blue_exchanged(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].flip(-1),))


@_listed_in(MODULE_FAULTS, "backbone")
def mean_in_order_of_the_other_channels(module: ExportableSlpt) -> None:
    module.mean_bgr.copy_(module.mean_bgr.flip(0))


@_listed_in(MODULE_FAULTS, "backbone")
def grey_levels_wrap_around_in_uint8(module: ExportableSlpt) -> None:
    module.mean_bgr += 8
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0] + 8,))


@_listed_in(MODULE_FAULTS, "backbone")
def crop_shifted_by_half_a_pixel(module: ExportableSlpt) -> None:
    def shifted(image: Tensor) -> Tensor:
        return ((image.int() + image.roll(1, dims=2).int()) // 2).to(torch.uint8)

    module.register_forward_pre_hook(lambda _, arguments: (shifted(arguments[0]),))


@_listed_in(MODULE_FAULTS, "backbone")
def crop_transposed(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].transpose(1, 2),))


@_listed_in(MODULE_FAULTS, "backbone")
def first_image_of_batch_for_all(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(
        lambda _, arguments: (arguments[0][:1].expand(arguments[0].shape),)
    )


@_listed_in(MODULE_FAULTS, "backbone")
def batch_in_reverse(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].flip(0),))


@_listed_in(MODULE_FAULTS, "backbone")
def batch_mean_in_the_features(module: ExportableSlpt) -> None:
    module.stem.register_forward_hook(
        lambda _stem, _arguments, maps: maps + 0.02 * (maps.mean(dim=0, keepdim=True) - maps)
    )


@_listed_in(MODULE_FAULTS, "stage1.tokens")
def patch_cells_in_x_and_y_exchanged(module: ExportableSlpt) -> None:
    module.grid_steps.copy_(module.grid_steps.flip(-1))


@_listed_in(MODULE_FAULTS, "stage1.tokens")
def patch_cells_at_their_middles(module: ExportableSlpt) -> None:
    side = module.sizes.patch_size
    module.grid_steps.copy_((module.grid_steps * (side - 1) + 0.5) / side)


@_listed_in(MODULE_FAULTS, "landmarks")
def stage_two_returned(module: ExportableSlpt) -> None:
    position = module.output_names.index("stage2.landmarks")
    module.register_forward_hook(lambda _m, _a, outputs: (outputs[position], *outputs[1:]))


@_listed_in(MODULE_FAULTS, "landmarks")
def output_in_x_and_y_exchanged(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.flip(-1))


@_listed_in(MODULE_FAULTS, "landmarks")
def output_in_pixels(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks * module.sizes.crop_size_px)


@_listed_in(MODULE_FAULTS, "landmarks")
def output_clamped_to_the_crop(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.clamp(0, 1))


@_listed_in(MODULE_FAULTS, "landmarks")
def output_shifted_by_half_a_pixel(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks + 0.5 / module.sizes.crop_size_px)


@_listed_in(MODULE_FAULTS, "landmarks")
def output_of_two_landmarks_exchanged(module: ExportableSlpt) -> None:
    order = torch.arange(module.sizes.landmark_count)
    order[[3, 4]] = order[[4, 3]]
    _change_landmarks(module, lambda landmarks: landmarks[:, order])


@_listed_in(MODULE_FAULTS, "landmarks")
def output_mixed_over_the_batch(module: ExportableSlpt) -> None:
    _change_landmarks(
        module, lambda landmarks: landmarks + 0.02 * (landmarks.mean(dim=0) - landmarks)
    )


@_listed_in(MODULE_FAULTS, "landmarks")
def output_rounded_to_half_precision(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.half().float())


@_listed_in(MODULE_FAULTS, "landmarks")
def output_not_a_number_once(module: ExportableSlpt) -> None:
    def spoiled(landmarks: Tensor) -> Tensor:
        landmarks = landmarks.clone()
        landmarks[-1, 5, 1] = torch.nan
        return landmarks

    _change_landmarks(module, spoiled)


# ---------------------------------------------------------------------------------------- the graph


@_listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_aligns_corners(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["align_corners"] = ir.AttrInt64("align_corners", 1)


@_listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_takes_nearest(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["mode"] = ir.AttrString("mode", "nearest")


@_listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_sample_is_bicubic(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        node.attributes["mode"] = ir.AttrString("mode", "bicubic")


@_listed_in(GRAPH_FAULTS, "stage1.tokens")
def grid_shifted_by_half_a_cell(graph: ir.Model) -> None:
    for node in _nodes(graph, "GridSample"):
        _insert(graph, node, 1, "Add", _initializer(graph, np.full(1, 1 / 16, np.float32)))


@_listed_in(GRAPH_FAULTS, "stage3.tokens")
def grid_of_last_stage_in_half_precision(graph: ir.Model) -> None:
    node = _nodes(graph, "GridSample")[-1]
    _insert(graph, node, 1, "Cast", to=ir.DataType.FLOAT16)
    _insert(graph, node, 1, "Cast", to=ir.DataType.FLOAT)


@_listed_in(GRAPH_FAULTS, "stage2.tokens")
def boxes_not_clamped(graph: ir.Model) -> None:
    for node in _nodes(graph, "Clip"):
        node.outputs[0].replace_all_uses_with(_input(node, 0))


@_listed_in(GRAPH_FAULTS, "stage1.decoded")
def softmax_over_the_queries(graph: ir.Model) -> None:
    for node in _nodes(graph, "Softmax"):
        node.attributes["axis"] = ir.AttrInt64("axis", 2)


@_listed_in(GRAPH_FAULTS, "stage1.decoded")
def feed_forward_with_leaky_relu(graph: ir.Model) -> None:
    for node in _feed_forward_relus(graph):
        node.op_type = "LeakyRelu"  # its slope is 0.01


@_listed_in(GRAPH_FAULTS, "stage1.decoded")
def feed_forward_with_gelu(graph: ir.Model) -> None:
    for node in _feed_forward_relus(graph):
        _replace_by_gelu(graph, node)


@_listed_in(GRAPH_FAULTS, "stage3.decoded")
def layer_norm_of_last_stage_with_epsilon_1e_3(graph: ir.Model) -> None:
    _nodes(graph, "LayerNormalization")[-1].attributes["epsilon"] = ir.AttrFloat32("epsilon", 1e-3)


@_listed_in(GRAPH_FAULTS, "backbone")
def one_relu_of_the_backbone_left_out(graph: ir.Model) -> None:
    node = _nodes(graph, "Relu")[0]
    node.outputs[0].replace_all_uses_with(_input(node, 0))


@_listed_in(GRAPH_FAULTS, "backbone")
def resize_with_asymmetric_coordinates(graph: ir.Model) -> None:
    _set_in_resizes(graph, "coordinate_transformation_mode", "asymmetric")


@_listed_in(GRAPH_FAULTS, "backbone")
def resize_with_aligned_corners(graph: ir.Model) -> None:
    _set_in_resizes(graph, "coordinate_transformation_mode", "align_corners")


@_listed_in(GRAPH_FAULTS, "backbone")
def resize_to_nearest(graph: ir.Model) -> None:
    _set_in_resizes(graph, "mode", "nearest")


@_listed_in(GRAPH_FAULTS, "backbone")
def resize_scales_a_little_too_large(graph: ir.Model) -> None:
    for node in _nodes(graph, "Resize"):
        scales = np.array([1, 1, 1.01, 1.01], np.float32) * _array_of(_input(node, 2))
        node.replace_input_with(2, _initializer(graph, scales.astype(np.float32)))


@_listed_in(GRAPH_FAULTS, "backbone")
def convolution_with_bias_of_another(graph: ir.Model) -> None:
    first, second = (node for node in _nodes(graph, "Conv")[:2])
    first.replace_input_with(2, _input(second, 2))


# ------------------------------------------------------------------------------ the graph's form


@_listed_in(FORM_FAULTS, r"GridSample `.*` has mode 'linear'; TensorRT reads it as nearest")
def grid_sample_spelled_as_in_opset_20(graph: ir.Model) -> None:
    _nodes(graph, "GridSample")[0].attributes["mode"] = ir.AttrString("mode", "linear")


@_listed_in(FORM_FAULTS, r"GridSample `.*` has a FLOAT16 grid; coordinates stay in FP32")
def grid_in_half_precision(graph: ir.Model) -> None:
    _input(_nodes(graph, "GridSample")[0], 1).dtype = ir.DataType.FLOAT16


@_listed_in(FORM_FAULTS, r"Cast `spoiled` goes to FLOAT16 in a graph that is named fp32")
def landmarks_through_half_precision(graph: ir.Model) -> None:
    _append(graph, "Cast", ir.DataType.FLOAT16, to=ir.DataType.FLOAT16)


@_listed_in(FORM_FAULTS, r"`spoiled_0` of Cast `spoiled` is DOUBLE; TensorRT has no such type")
def landmarks_in_double_precision(graph: ir.Model) -> None:
    _append(graph, "Cast", ir.DataType.DOUBLE, to=ir.DataType.DOUBLE)


@_listed_in(FORM_FAULTS, r"NonZero `spoiled` is not allowed: its output shape depends on data")
def boolean_index_with_non_zero(graph: ir.Model) -> None:
    _append(graph, "NonZero", ir.DataType.INT64)


@_listed_in(FORM_FAULTS, r"ScatterND `spoiled` is not allowed: an in-place write")
def in_place_write_with_scatter(graph: ir.Model) -> None:
    _append(graph, "ScatterND", ir.DataType.FLOAT)


@_listed_in(FORM_FAULTS, r"Loop `spoiled` is not allowed: control flow; unroll it")
def loop_over_the_batch(graph: ir.Model) -> None:
    _append(graph, "Loop", ir.DataType.FLOAT)


@_listed_in(FORM_FAULTS, r"If `spoiled` is not allowed: control flow breaks TensorRT 11\.1")
def branch_on_a_value(graph: ir.Model) -> None:
    _append(graph, "If", ir.DataType.FLOAT)


@_listed_in(FORM_FAULTS, r"Dropout `spoiled` is not allowed: training left in the graph")
def dropout_left_in(graph: ir.Model) -> None:
    _append(graph, "Dropout", ir.DataType.FLOAT)


@_listed_in(FORM_FAULTS, r"BatchNormalization `spoiled` is in training mode; call `eval\(\)`")
def batch_norm_in_training_mode(graph: ir.Model) -> None:
    _append(graph, "BatchNormalization", ir.DataType.FLOAT, training_mode=1)


@_listed_in(FORM_FAULTS, r"FusedConv `spoiled` is a custom operator of 'com\.microsoft'")
def operator_of_one_vendor(graph: ir.Model) -> None:
    _append(graph, "FusedConv", ir.DataType.FLOAT, domain="com.microsoft")


@_listed_in(FORM_FAULTS, r"only standard operators are allowed, got domain 'com\.microsoft'")
def domain_of_one_vendor(graph: ir.Model) -> None:
    graph.graph.opset_imports["com.microsoft"] = 1


@_listed_in(FORM_FAULTS, r"opset must be 19, got 20; TensorRT reads GridSample of opset 20")
def opset_20(graph: ir.Model) -> None:
    graph.graph.opset_imports[""] = 20


@_listed_in(FORM_FAULTS, r"outputs must be \['landmarks'\], got \['landmarks', 'backbone'\]")
def probe_left_among_the_outputs(graph: ir.Model) -> None:
    values = {value.name: value for node in graph.graph for value in node.outputs}
    graph.graph.outputs.append(values["backbone"])


@_listed_in(FORM_FAULTS, r"inputs must be \['image'\], got \['input_1'\]")
def input_renamed(graph: ir.Model) -> None:
    graph.graph.inputs[0].name = "input_1"


@_listed_in(FORM_FAULTS, r"outputs must be \['landmarks'\], got \['output_0'\]")
def output_renamed(graph: ir.Model) -> None:
    graph.graph.outputs[0].name = "output_0"


@_listed_in(FORM_FAULTS, r"input `image` must be \('B', 64, 64, 3\), got \(2, 64, 64, 3\)")
def batch_of_two_baked_in(graph: ir.Model) -> None:
    graph.graph.inputs[0].shape = ir.Shape([2, 64, 64, 3])


@_listed_in(FORM_FAULTS, r"output `landmarks` must be \('B', 98, 2\), got \(2, 98, 2\)")
def batch_of_two_baked_into_the_output(graph: ir.Model) -> None:
    graph.graph.outputs[0].shape = ir.Shape([2, 98, 2])


@_listed_in(FORM_FAULTS, r"input `image` must be \('B', 64, 64, 3\), got \('B', 3, 64, 64\)")
def channels_first(graph: ir.Model) -> None:
    graph.graph.inputs[0].shape = ir.Shape(["B", 3, 64, 64])


@_listed_in(FORM_FAULTS, r"input `image` must be uint8, got FLOAT")
def floating_point_input(graph: ir.Model) -> None:
    graph.graph.inputs[0].dtype = ir.DataType.FLOAT


@_listed_in(FORM_FAULTS, r"`backbone` of .* has no inferred shape")
def shape_not_inferred(graph: ir.Model) -> None:
    values = {value.name: value for node in graph.graph for value in node.outputs}
    values["backbone"].shape = None


# ------------------------------------------------------------------------------------------- helpers


def _batch_norms(network: Slpt) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def _attentions(network: Slpt) -> list[Attention]:
    return [module for module in network.modules() if isinstance(module, Attention)]


def _change_landmarks(module: ExportableSlpt, change: Callable[[Tensor], Tensor]) -> None:
    """Change what the module returns, and leave the points on the way alone."""
    module.register_forward_hook(lambda _m, _a, outputs: (change(outputs[0]), *outputs[1:]))


def _array(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def _nodes(graph: ir.Model, op_type: str) -> list[ir.Node]:
    found = [node for node in graph.graph if node.op_type == op_type]
    assert found, f"the graph has no {op_type}"
    return found


def _input(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _feed_forward_relus(graph: ir.Model) -> Iterator[ir.Node]:
    for node in _nodes(graph, "Relu"):
        producer = _input(node, 0).producer()
        if producer is not None and producer.op_type in {"Gemm", "MatMul"}:
            yield node


def _replace_by_gelu(graph: ir.Model, node: ir.Node) -> None:
    """Put x * sigmoid(1.702 x) in the place of relu(x); opset 19 has no Gelu."""
    x = _input(node, 0)
    factor = _initializer(graph, np.array(1.702, np.float32))
    scaled = ir.node("Mul", [x, factor])
    gate = ir.node("Sigmoid", [scaled.outputs[0]])
    gelu = ir.node("Mul", [x, gate.outputs[0]])
    graph.graph.insert_before(node, [scaled, gate, gelu])
    node.outputs[0].replace_all_uses_with(gelu.outputs[0])


def _set_in_resizes(graph: ir.Model, name: str, value: str) -> None:
    for node in _nodes(graph, "Resize"):
        node.attributes[name] = ir.AttrString(name, value)


def _array_of(value: ir.Value) -> np.ndarray:
    assert value.const_value is not None
    return value.const_value.numpy()


def _initializer(graph: ir.Model, array: np.ndarray) -> ir.Value:
    name = f"spoiled_{len(graph.graph.initializers)}"
    value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
    graph.graph.initializers.add(value)
    return value


def _insert(
    graph: ir.Model, node: ir.Node, index: int, op_type: str, *others: ir.Value, **attributes: Any
) -> None:
    """Put an operator before an input of a node."""
    inserted = ir.node(op_type, [_input(node, index), *others], attributes=attributes)
    graph.graph.insert_before(node, inserted)
    node.replace_input_with(index, inserted.outputs[0])


def _append(
    graph: ir.Model, op_type: str, dtype: ir.DataType, *, domain: str = "", **attributes: Any
) -> None:
    """Add an operator on the landmarks whose result nothing reads."""
    landmarks = graph.graph.outputs[0]
    node = ir.node(
        op_type, [landmarks], attributes=attributes, domain=domain, name="spoiled"
    )
    node.outputs[0].name = "spoiled_0"
    node.outputs[0].dtype, node.outputs[0].shape = dtype, landmarks.shape
    graph.graph.append(node)
