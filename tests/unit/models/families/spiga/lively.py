"""Weights that make every part of a network count."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from facealign.models.families.spiga.network import Spiga

__all__ = ["make_lively", "relative_deviation"]

_CONSTANTS = ("channel", "ones", "edge2point", "theta_S", "diagonal_mask")
_FACE_BEFORE_CAMERA = torch.tensor([8.0, -5.0, 4.0, -0.02, -0.07, 3.0])


def make_lively(network: Spiga) -> Spiga:
    """Return the network in evaluation mode with random weights; its constants stay."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not any(part in name for part in _CONSTANTS):
            is_scale = value.ndim == 1 and name.endswith(("weight", "running_var"))
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(noise.abs() + 0.5 if is_scale else noise * _deviation(value))
    with torch.no_grad():
        network.pose_fc.weight.mul_(0.1)
        network.pose_fc.bias.copy_(_FACE_BEFORE_CAMERA)
        for window in network.conv_window:  # else three steps amplify rounding to 0.01
            cast("nn.Conv2d", window).weight.mul_(0.1)
    evaluating: Spiga = network.eval().requires_grad_(requires_grad=False)
    return evaluating


def relative_deviation(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the largest difference by the largest value; shapes may differ by a reshape."""
    difference = (found.reshape(expected.shape) - expected).abs().max()
    return float(difference / expected.abs().max())


def _deviation(value: torch.Tensor) -> float:
    return 0.1 if value.ndim < 2 else float(value[0].numel()) ** -0.5
