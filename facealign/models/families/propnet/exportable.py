"""PropNet as it is traced: the same function as `network.PropNet`, rewritten for a faster graph.

Every rewrite is exact up to rounding, and the parity check holds the traced graph against the plain
network, so a wrong one cannot ship:

* Scale and BGR order go into the first convolution.
* Positions: a convolution is linear, so what it makes of row, column and radius is a constant map,
  added behind it. In the stem, the batch norm is folded into both.
* BlurPool: the binomial filter is two means of two. The outer mean leaves cells beyond the border
  out, which is what the mirrored border does to a map of even size; see `FoldedBlurPool`.
* Boundaries and features are multiplied by their own parts of the fusing weights and added; their
  concatenation, of an odd number of channels, is not needed.
* The propagation module behind the last hourglass only serves a loss, and is left out.
* Decoding is looked up in constant tables.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.blur_pool import BlurPool2d
from facealign.models.blocks.constant import constant
from facealign.models.blocks.coord_conv import MappedConv2d
from facealign.models.blocks.heat_map_decode import HeatMapDecode
from facealign.models.families.propnet.network import (
    PEAK_RULE,
    Propagation,
    PropNet,
    Stack,
    Stem,
    position_maps,
)
from facealign.models.family import Exportable

__all__ = ["ExportablePropNet", "FoldedBlurPool"]

_GREY_LEVELS = 255


class ExportablePropNet(Exportable):
    """uint8 BGR crops in; landmarks and scores out, then the probes on the way."""

    def __init__(self, network: PropNet) -> None:
        super().__init__()
        sizes = network.hyperparameters
        folded = copy.deepcopy(network)
        _fold_blur_pools(folded)
        self.stem = _FoldedStem(folded.stem, sizes.crop_size_px)
        stacks = cast("list[Stack]", list(folded.stacks))
        propagations = cast("list[Propagation]", list(folded.propagations))
        self.stacks = nn.ModuleList(_FoldedStack(stack, sizes.map_size) for stack in stacks)
        self.propagations = nn.ModuleList(_FoldedPropagation(each) for each in propagations)
        self.merge_features, self.merge_preds = folded.merge_features, folded.merge_preds
        self.decode = HeatMapDecode(sizes.map_size, sizes.map_size, PEAK_RULE)
        between = range(1, sizes.stack_count)
        points = [f"stack{s}.{point}" for s in between for point in ("heat_maps", "gated")]
        last = f"stack{sizes.stack_count}.heat_maps"
        self.output_names = ("landmarks", "score", "stem", *points, last)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        maps = self.stem(image.to(torch.float32).permute(0, 3, 1, 2))
        points = [maps]
        heat_maps = maps
        for index, stack in enumerate(self.stacks):
            features, heat_maps = stack(maps)
            points.append(heat_maps)
            if index < len(self.propagations):
                gated = self.propagations[index](heat_maps, features)
                points.append(gated)
                maps = maps + self.merge_features[index](gated) + self.merge_preds[index](heat_maps)
        return (*self.decode(heat_maps), *points)


class _FoldedStem(nn.Module):
    """The stem for BGR grey levels."""

    def __init__(self, stem: Stem, size_px: int) -> None:
        super().__init__()
        weight, bias = _with_batch_norm(stem.conv, stem.bn)
        pixels = (weight[:, :3] / _GREY_LEVELS).flip(1)
        self.conv = _mapped_conv(stem.conv, torch.cat([pixels, weight[:, 3:]], 1), bias, size_px)
        self.block1, self.block2, self.block3 = stem.block1, stem.block2, stem.block3
        self.pool = stem.pool

    def forward(self, grey: Tensor) -> Tensor:
        maps = torch.relu(self.conv(grey))
        features: Tensor = self.block3(self.block2(self.pool(self.block1(maps))))
        return features


class _FoldedStack(nn.Module):
    """A stack whose positions are a constant map."""

    def __init__(self, stack: Stack, map_size: int) -> None:
        super().__init__()
        weight, bias = stack.positions.weight.double(), stack.positions.state_dict()["bias"]
        self.positions = _mapped_conv(stack.positions, weight, bias.double(), map_size)
        self.stack = stack

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        outputs: tuple[Tensor, Tensor] = self.stack.from_positioned(self.positions(maps))
        return outputs


class _FoldedPropagation(nn.Module):
    """A propagation module that fuses by a sum of two products."""

    def __init__(self, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation
        weight = propagation.fuse.weight.detach()
        width = weight.shape[0]
        count = weight.shape[1] - width
        self.fuse_boundaries = nn.Conv2d(count, width, 1, bias=False)
        self.fuse_features = nn.Conv2d(width, width, 1)
        self.fuse_boundaries.weight = constant(weight[:, :count])
        self.fuse_features.weight = constant(weight[:, count:])
        self.fuse_features.bias = propagation.fuse.bias

    def forward(self, heat_maps: Tensor, features: Tensor) -> Tensor:
        boundaries = self.propagation.boundaries_from(heat_maps)
        fused = self.fuse_features(features) + self.fuse_boundaries(boundaries)
        weighted: Tensor = features * torch.sigmoid(self.propagation.hourglass(fused))
        return weighted


class FoldedBlurPool(nn.Module):
    """BlurPool as two average pools, for maps of even height and width.

    Along one axis, with pair means ``a[i] = (x[i] + x[i + 1]) / 2``, the filter at cell ``2k`` is
    ``(a[2k - 1] + a[2k]) / 2``. At the border the mirrored cell makes it ``a[0]``, and that is the
    mean of the pair without its outer half. ONNX Runtime 1.31 keeps pools in its blocked layout, as
    it does not a Pad.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, H / 2, W / 2)`` from ``(B, C, H, W)``."""
        pairs = functional.avg_pool2d(maps, 2, stride=1)
        return functional.avg_pool2d(pairs, 2, stride=2, padding=1, count_include_pad=False)


def _fold_blur_pools(network: nn.Module) -> None:
    names = [name for name, layer in network.named_modules() if isinstance(layer, BlurPool2d)]
    for name in names:
        network.set_submodule(name, FoldedBlurPool())


def _with_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return float64 weight and bias of a convolution with the norm behind it."""
    values = {name: value.double() for name, value in norm.state_dict().items()}
    factor = values["weight"] / (values["running_var"] + norm.eps).sqrt()
    bias = conv.state_dict()["bias"].double() - values["running_mean"]
    return conv.weight.double() * factor.reshape(-1, 1, 1, 1), bias * factor + values["bias"]


def _mapped_conv(conv: nn.Conv2d, weight: Tensor, bias: Tensor, size: int) -> MappedConv2d:
    """Return `conv`, with another weight and bias, for the maps without the positions."""
    stride, padding = conv.stride[0], conv.kernel_size[0] // 2
    positions = position_maps(size, size).double()
    count = positions.shape[1]
    bias_map = functional.conv2d(
        positions, weight[:, -count:], bias, stride=stride, padding=padding
    )
    pixels = weight[:, :-count].float()
    return MappedConv2d(pixels, bias_map.float(), stride=stride, padding=padding)
