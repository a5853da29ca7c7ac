"""The small SLPT of the demo checkpoint: its sizes, how it starts, and its forward for training."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbones.hrnet import HRNetHyperparameters, HRNetStage
from facealign.models.families.slpt.hyperparameters import SlptHyperparameters
from facealign.models.families.slpt.network import DecoderLayer, Slpt

__all__ = ["DEMO_SIZES", "new_network", "stage_landmarks"]

_CHANNELS = (12, 16, 24, 40)
# What no tensor shows (98 landmarks of crops of 256 px, three stages, 8 heads) is as its authors
# have it, so that `facealign inspect` needs no flag. The rest is small enough to train on a CPU.
DEMO_SIZES = SlptHyperparameters(
    landmark_count=98,
    width=48,
    layer_count=2,
    ffn_width=96,
    patch_size=4,
    backbone=HRNetHyperparameters(
        stem_channels=12,
        layer1_block_count=1,
        layer1_channels=8,
        stages=tuple(
            HRNetStage(module_count=1, block_count=1, channels=_CHANNELS[:branches])
            for branches in (2, 3, 4)
        ),
    ),
)
_NEIGHBOURHOOD = 0.05  # of the crop: as far apart, encodings of two landmarks are hardly alike
_ATTENTION_GAIN = 2.0  # on query and key; a landmark then gives its own patch a quarter or so


def new_network(mean_shape: Tensor, *, seed: int) -> Slpt:
    """Return an untrained network that already knows which patch is whose.

    Landmarks that are near each other in the mean shape start with similar encodings, and the keys
    of cross-attention start equal to the queries: so every landmark looks at its own patch and at
    its neighbours' from the first step on. Learning that alone would take most of a short training.

    Args:
        mean_shape: ``(98, 2)`` float32, x and y as a fraction of the crop.
        seed: Of all random weights.

    Source: Rahimi and Recht, NIPS 2007, for encodings whose products fall off with distance.
    """
    torch.manual_seed(seed)
    network = Slpt(DEMO_SIZES, mean_shape)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    with torch.no_grad():
        frequencies = torch.randn(2, DEMO_SIZES.width) / _NEIGHBOURHOOD
        phases = 2 * np.pi * torch.rand(DEMO_SIZES.width)
        encoding = np.sqrt(2) * torch.cos(mean_shape @ frequencies + phases)
        network.Transformer.structure_encoding.copy_(encoding)
        network.Transformer.landmark_query.copy_(encoding)
        for layer in network.Transformer.Transformer_block.layers:
            query, key, _ = cast("DecoderLayer", layer).multihead_attn.in_proj_weight.chunk(3)
            key.copy_(query.mul_(_ATTENTION_GAIN))
        network.out_layer.weight.mul_(0.1)
        network.out_layer.bias.fill_(0.5)  # the middle of the patch
    return network


def stage_landmarks(network: Slpt, image: Tensor) -> list[Tensor]:
    """Return the landmarks of every stage, as `Slpt.forward` computes them, but fit to train.

    A stage does not teach the one before through the place of its patches, which makes training
    unstable. Sampling and patch product are the fast ones of torch; the reference's take several
    times as long backward.

    Args:
        network: In any mode.
        image: ``(B, 3, H, W)`` float32, as `normalised_image` gives it.

    Returns:
        Three times ``(B, 98, 2)``, x and y as a fraction of the crop.
    """
    maps = network.backbone.projection(network.backbone(image))
    landmarks = network.mean_shape.expand(len(image), -1, -1)
    stages: list[Tensor] = []
    for stage in range(1, network.hyperparameters.stage_count + 1):
        box_min, box_size = network.roi(landmarks.detach(), stage)
        decoded = _decoded(network, _tokens(network, maps, box_min, box_size))
        landmarks = box_min + box_size * network.out_layer(decoded)
        stages.append(landmarks)
    return stages


def _tokens(network: Slpt, maps: Tensor, box_min: Tensor, box_size: Tensor) -> Tensor:
    """Return ``(B, N, D)``, what `Slpt.tokens` does."""
    steps = torch.linspace(0, 1, network.hyperparameters.patch_size)
    cells = torch.cartesian_prod(steps, steps).flip(-1)  # (P * P, 2), x and y, row by row
    positions = box_min.unsqueeze(2) + box_size.unsqueeze(2) * cells  # (B, N, P * P, 2)
    patches = functional.grid_sample(maps, 2 * positions - 1, align_corners=True)
    columns = patches.permute(0, 2, 1, 3).flatten(2)  # (B, N, C * P * P)
    return functional.linear(columns, network.feature_extractor.weight.flatten(1))


def _decoded(network: Slpt, tokens: Tensor) -> Tensor:
    """Return ``(B, N, D)``, what the transformer does; attention is most of the cost of training.

    The decoder starts from zeros, so its first self-attention is the same for all pictures, and is
    computed for one.
    """
    transformer = network.Transformer
    query, block = transformer.landmark_query, transformer.Transformer_block
    keys = tokens + transformer.structure_encoding
    target = torch.zeros_like(query)
    for layer in cast("list[DecoderLayer]", list(block.layers)):
        normed = layer.norm1(target)
        own = normed + query
        target = target + layer.self_attn(own, own, normed, need_weights=False)[0]
        asked = (layer.norm2(target) + query).expand_as(tokens)
        target = target + layer.multihead_attn(asked, keys, tokens, need_weights=False)[0]
        target = target + layer.linear2(torch.relu(layer.linear1(layer.norm3(target))))
    decoded: Tensor = block.norm(target)
    return decoded
