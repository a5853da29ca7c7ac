"""The normalisation of networks that began on ImageNet, plainly and folded into a convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facealign.models.blocks.constant import constant

__all__ = [
    "IMAGENET_MEAN_RGB",
    "IMAGENET_STD_RGB",
    "folded_stem",
    "normalised_image",
]

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
IMAGENET_STD_RGB = (0.229, 0.224, 0.225)


def normalised_image(crops: Tensor) -> Tensor:
    """Return ``(B, 3, H, W)`` float32 RGB, normalised, from ``(B, H, W, 3)`` uint8 BGR."""
    image = crops.flip(-1).permute(0, 3, 1, 2).to(torch.float32) / 255
    mean = torch.tensor(IMAGENET_MEAN_RGB).reshape(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD_RGB).reshape(1, 3, 1, 1)
    return (image - mean) / std


def folded_stem(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the first convolution for mean-free BGR grey levels instead of normalised RGB."""
    stem = nn.Conv2d(3, conv.out_channels, 3, stride=2, padding=1, bias=False)
    std = torch.tensor(IMAGENET_STD_RGB).reshape(1, 3, 1, 1)
    stem.weight = constant((conv.weight / (255 * std)).flip(1))
    return stem
