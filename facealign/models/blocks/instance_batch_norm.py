"""IBN: instance normalisation on half of the channels, batch normalisation on the other half.

Source: Pan et al., ECCV 2018 (IBN-Net), fig. 3a.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["InstanceBatchNorm2d"]


class InstanceBatchNorm2d(nn.Module):
    """The first half of the channels over each map, the second over the training set."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.split = (channels // 2, channels - channels // 2)
        self.IN = nn.InstanceNorm2d(self.split[0], affine=True)
        self.BN: nn.Module = nn.BatchNorm2d(self.split[1])

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` from the same."""
        by_map, by_batch = torch.split(maps, list(self.split), dim=1)
        return torch.cat([self.IN(by_map), self.BN(by_batch)], dim=1)
