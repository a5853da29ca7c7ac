"""Faults to plant in the tiny SLPT: mistakes that an exporter, a pass or a rewrite could make.

Each is a small function that spoils what it is given; its name is its id. Those of this file go
into the network before the rewrite, and into the rewritten module; the graph's are in
`slpt_graph_faults.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from facealign.models.blocks.imagenet import IMAGENET_STD_RGB
from facealign.models.families.slpt.exportable import ExportableSlpt
from facealign.models.families.slpt.network import Slpt

__all__ = ["MODULE_FAULTS", "NETWORK_FAULTS", "Fault", "Spoil", "listed_in"]

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


def listed_in(faults: list[Fault[Target]], sign: str) -> Callable[[Spoil[Target]], Spoil[Target]]:
    def register(spoil: Spoil[Target]) -> Spoil[Target]:
        faults.append(Fault(getattr(spoil, "__name__", "").strip("_"), spoil, sign))
        return spoil

    return register


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_mirrored(network: Slpt) -> None:
    network.mean_shape[:, 0] = 1 - network.mean_shape[:, 0]


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_with_one_landmark_moved_by_half_a_pixel(network: Slpt) -> None:
    network.mean_shape[17, 0] += 0.5 / network.hyperparameters.crop_size_px


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def mean_shape_in_x_and_y_exchanged(network: Slpt) -> None:
    network.mean_shape = network.mean_shape.flip(-1)


@listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_of_an_older_epoch(network: Slpt) -> None:
    norm = _batch_norms(network)[-1]
    _array(norm.running_mean)[:] *= 0.9


@listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_never_loaded(network: Slpt) -> None:
    _batch_norms(network)[0].reset_running_stats()


@listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_epsilon_of_another_framework(network: Slpt) -> None:
    for norm in _batch_norms(network):
        norm.eps = 1e-3


@listed_in(NETWORK_FAULTS, "backbone")
def batch_norm_left_in_training(network: Slpt) -> None:
    network.backbone.bn1.train()


@listed_in(NETWORK_FAULTS, "backbone")
def fusion_of_coarsest_branch_left_out(network: Slpt) -> None:
    network.backbone.get_parameter("stage4.0.fuse_layers.0.3.0.weight").zero_()
    network.backbone.get_parameter("stage4.0.fuse_layers.0.3.1.weight").zero_()
    network.backbone.get_parameter("stage4.0.fuse_layers.0.3.1.bias").zero_()


@listed_in(NETWORK_FAULTS, "backbone")
def weights_of_one_convolution_in_bfloat16(network: Slpt) -> None:
    weight = network.backbone.conv2.weight
    weight.copy_(weight.bfloat16())


@listed_in(NETWORK_FAULTS, "backbone")
def weights_of_one_convolution_in_half_precision(network: Slpt) -> None:
    weight = network.backbone.conv2.weight
    weight.copy_(weight.half())


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def patch_convolution_transposed(network: Slpt) -> None:
    weight = network.feature_extractor.weight
    weight.copy_(weight.transpose(2, 3).clone())


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def projection_bias_left_out(network: Slpt) -> None:
    network.backbone.get_parameter("head.3.bias").zero_()


@listed_in(NETWORK_FAULTS, "stage1.tokens")
def patch_half_length_of_seven_cells(network: Slpt) -> None:
    network.hyperparameters = replace(network.hyperparameters, half_patch_norm=7 / 64)


@listed_in(NETWORK_FAULTS, "stage1.landmarks")
def output_bias_left_out(network: Slpt) -> None:
    network.out_layer.bias.zero_()


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def attention_scale_missing(network: Slpt) -> None:
    for attention in _attentions(network):
        query, _, _ = attention.in_proj_weight.chunk(3)
        bias, _, _ = attention.in_proj_bias.chunk(3)
        query *= math.sqrt(attention.head_dim)
        bias *= math.sqrt(attention.head_dim)


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def heads_interleaved(network: Slpt) -> None:
    for attention in _attentions(network):
        order = torch.arange(attention.embed_dim).reshape(attention.num_heads, -1).T.reshape(-1)
        for packed in (attention.in_proj_weight, attention.in_proj_bias):
            packed.copy_(torch.cat([part[order] for part in packed.chunk(3)]))
        attention.out_proj.weight.copy_(attention.out_proj.weight[:, order])


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def keys_and_values_of_one_layer_exchanged(network: Slpt) -> None:
    attention = _attentions(network)[-1]
    for packed in (attention.in_proj_weight, attention.in_proj_bias):
        query, key, value = packed.clone().chunk(3)
        packed.copy_(torch.cat([query, value, key]))


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def value_bias_dropped(network: Slpt) -> None:
    attention = _attentions(network)[-1]
    attention.in_proj_bias.chunk(3)[2].zero_()


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def landmark_query_in_another_order(network: Slpt) -> None:
    network.Transformer.landmark_query.copy_(network.Transformer.landmark_query.roll(1, dims=1))


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def structure_encoding_dropped(network: Slpt) -> None:
    network.Transformer.structure_encoding.zero_()


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def last_decoder_layer_left_out(network: Slpt) -> None:
    decoder = network.Transformer.Transformer_block
    decoder.layers = decoder.layers[:-1]


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def layer_norm_epsilon_1e_3(network: Slpt) -> None:
    for norm in network.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-3


@listed_in(NETWORK_FAULTS, "stage1.decoded")
def final_norm_without_its_weights(network: Slpt) -> None:
    network.Transformer.Transformer_block.norm.reset_parameters()


@listed_in(MODULE_FAULTS, "backbone")
def mean_not_subtracted(module: ExportableSlpt) -> None:
    module.mean_bgr.zero_()


@listed_in(MODULE_FAULTS, "backbone")
def grey_levels_divided_by_256(module: ExportableSlpt) -> None:
    module.stem.weight.mul_(255 / 256)
    module.mean_bgr.mul_(256 / 255)


@listed_in(MODULE_FAULTS, "backbone")
def standard_deviation_of_channels_left_out(module: ExportableSlpt) -> None:
    module.stem.weight.mul_(torch.tensor(IMAGENET_STD_RGB).flip(0).reshape(1, 3, 1, 1))


@listed_in(MODULE_FAULTS, "backbone")
def normalisation_missing(module: ExportableSlpt) -> None:
    standard_deviation_of_channels_left_out(module)
    mean_not_subtracted(module)


@listed_in(MODULE_FAULTS, "backbone")
def red_and_blue_exchanged(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].flip(-1),))


@listed_in(MODULE_FAULTS, "backbone")
def mean_in_order_of_the_other_channels(module: ExportableSlpt) -> None:
    module.mean_bgr.copy_(module.mean_bgr.flip(0))


@listed_in(MODULE_FAULTS, "backbone")
def grey_levels_wrap_around_in_uint8(module: ExportableSlpt) -> None:
    module.mean_bgr.add_(8)
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0] + 8,))


@listed_in(MODULE_FAULTS, "backbone")
def crop_shifted_by_half_a_pixel(module: ExportableSlpt) -> None:
    def shifted(image: Tensor) -> Tensor:
        return ((image.int() + image.roll(1, dims=2).int()) // 2).to(torch.uint8)

    module.register_forward_pre_hook(lambda _, arguments: (shifted(arguments[0]),))


@listed_in(MODULE_FAULTS, "backbone")
def crop_transposed(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].transpose(1, 2),))


@listed_in(MODULE_FAULTS, "backbone")
def first_image_of_batch_for_all(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(
        lambda _, arguments: (arguments[0][:1].expand(arguments[0].shape),)
    )


@listed_in(MODULE_FAULTS, "backbone")
def batch_in_reverse(module: ExportableSlpt) -> None:
    module.register_forward_pre_hook(lambda _, arguments: (arguments[0].flip(0),))


@listed_in(MODULE_FAULTS, "backbone")
def batch_mean_in_the_features(module: ExportableSlpt) -> None:
    module.stem.register_forward_hook(
        lambda _stem, _arguments, maps: maps + 0.02 * (maps.mean(dim=0, keepdim=True) - maps)
    )


@listed_in(MODULE_FAULTS, "stage1.tokens")
def patch_cells_in_x_and_y_exchanged(module: ExportableSlpt) -> None:
    module.grid_steps.copy_(module.grid_steps.flip(-1))


@listed_in(MODULE_FAULTS, "stage1.tokens")
def patch_cells_at_their_middles(module: ExportableSlpt) -> None:
    side = module.sizes.patch_size
    module.grid_steps.copy_((module.grid_steps * (side - 1) + 0.5) / side)


@listed_in(MODULE_FAULTS, "landmarks")
def stage_two_returned(module: ExportableSlpt) -> None:
    position = module.output_names.index("stage2.landmarks")
    module.register_forward_hook(lambda _m, _a, outputs: (outputs[position], *outputs[1:]))


@listed_in(MODULE_FAULTS, "landmarks")
def output_in_x_and_y_exchanged(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.flip(-1))


@listed_in(MODULE_FAULTS, "landmarks")
def output_in_pixels(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks * module.sizes.crop_size_px)


@listed_in(MODULE_FAULTS, "landmarks")
def output_clamped_to_the_crop(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.clamp(0, 1))


@listed_in(MODULE_FAULTS, "landmarks")
def output_shifted_by_half_a_pixel(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks + 0.5 / module.sizes.crop_size_px)


@listed_in(MODULE_FAULTS, "landmarks")
def output_of_two_landmarks_exchanged(module: ExportableSlpt) -> None:
    order = torch.arange(module.sizes.landmark_count)
    order[[3, 4]] = order[[4, 3]]
    _change_landmarks(module, lambda landmarks: landmarks[:, order])


@listed_in(MODULE_FAULTS, "landmarks")
def output_mixed_over_the_batch(module: ExportableSlpt) -> None:
    _change_landmarks(
        module, lambda landmarks: landmarks + 0.02 * (landmarks.mean(dim=0) - landmarks)
    )


@listed_in(MODULE_FAULTS, "landmarks")
def output_rounded_to_half_precision(module: ExportableSlpt) -> None:
    _change_landmarks(module, lambda landmarks: landmarks.half().float())


@listed_in(MODULE_FAULTS, "landmarks")
def output_not_a_number_once(module: ExportableSlpt) -> None:
    def spoiled(landmarks: Tensor) -> Tensor:
        landmarks = landmarks.clone()
        landmarks[-1, 5, 1] = torch.nan
        return landmarks

    _change_landmarks(module, spoiled)


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
