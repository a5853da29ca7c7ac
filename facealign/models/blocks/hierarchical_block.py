"""The hierarchical, parallel and multi-scale residual block, and the hourglass made of it.

Source: Bulat and Tzimiropoulos, ICCV 2017 (Binarized convolutional landmark localizers), fig. 5;
    Newell et al., ECCV 2016 (Stacked hourglass networks), sec. 3.1; SPEC 6.3 for what PropNet
    pools and resizes with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.blur_pool import BlurPool2d

__all__ = ["HierarchicalBlock", "Hourglass"]


class HierarchicalBlock(nn.Module):
    """Three 3x3 convolutions in a row, each on a normalised input; all three results are kept.

    They fill a half, a quarter and a quarter of the channels, and are added to the input.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half, quarter = out_channels // 2, out_channels // 4
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = _conv3x3(in_channels, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv2 = _conv3x3(half, quarter)
        self.bn3 = nn.BatchNorm2d(quarter)
        self.conv3 = _conv3x3(quarter, quarter)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.BatchNorm2d(in_channels),
                nn.ReLU(),
                nn.Conv2d(in_channels, out_channels, 1, bias=False),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, out, H, W)`` from ``(B, in, H, W)``."""
        first = self.conv1(torch.relu(self.bn1(maps)))
        second = self.conv2(torch.relu(self.bn2(first)))
        third = self.conv3(torch.relu(self.bn3(second)))
        summed: Tensor = torch.cat([first, second, third], dim=1) + self.shortcut(maps)
        return summed


def _conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)


class Hourglass(nn.Module):
    """Down by halves and up again, with a block of full resolution beside every level."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.beside = _blocks(channels, depth)
        self.pool = nn.ModuleList(BlurPool2d(channels) for _ in range(depth))
        self.down = _blocks(channels, depth)
        self.bottom = HierarchicalBlock(channels, channels)
        self.up = _blocks(channels, depth)

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` from the same; H and W are multiples of ``2 ** depth``."""
        kept = []
        for beside, pool, down in zip(self.beside, self.pool, self.down, strict=True):
            kept.append(beside(maps))
            maps = down(pool(maps))
        maps = self.bottom(maps)
        for up, level in zip(reversed(self.up), reversed(kept), strict=True):
            maps = functional.interpolate(up(maps), scale_factor=2.0, mode="nearest") + level
        return maps


def _blocks(channels: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(HierarchicalBlock(channels, channels) for _ in range(count))
