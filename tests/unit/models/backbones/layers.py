"""Layers computed a second time, by torch's functions and from the tensors of a state dict."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["EPSILON", "batch_norm", "coord_conv"]

EPSILON = 1e-5  # of every norm


def batch_norm(maps: Tensor, state: Mapping[str, Tensor], name: str) -> Tensor:
    return functional.batch_norm(
        maps,
        state[f"{name}.running_mean"],
        state[f"{name}.running_var"],
        state[f"{name}.weight"],
        state[f"{name}.bias"],
        eps=EPSILON,
    )


def coord_conv(maps: Tensor, weight: Tensor, *, stride: int = 1) -> Tensor:
    """Return the convolution of the maps, of their rows and of their columns from -1 to 1."""
    steps = torch.linspace(-1, 1, maps.shape[-1])
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    coordinates = torch.stack([rows, columns]).repeat(maps.shape[0], 1, 1, 1)
    joined = torch.cat([maps, coordinates], dim=1)
    return functional.conv2d(joined, weight, stride=stride, padding=weight.shape[-1] // 2)
