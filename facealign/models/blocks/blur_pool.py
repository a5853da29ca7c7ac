"""BlurPool: smooth before every second cell is dropped.

Source: Zhang, ICML 2019 (Making convolutional networks shift-invariant again), sec. 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BlurPool2d"]

_BINOMIAL = (1.0, 2.0, 1.0)


class BlurPool2d(nn.Module):
    """Binomial 3x3 filter on every channel, stride 2, the border mirrored by one cell."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor(_BINOMIAL)
        kernel = torch.outer(taps, taps) / taps.sum() ** 2
        self.register_buffer("filt", kernel.repeat(channels, 1, 1, 1))  # (C, 1, 3, 3)

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, ceil(H / 2), ceil(W / 2))`` from ``(B, C, H, W)``."""
        mirrored = functional.pad(maps, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(mirrored, self.filt, stride=2, groups=self.filt.shape[0])
