"""SPIGA's points, and the network that gives them in float64."""

from __future__ import annotations

import copy
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from facealign.models.families.spiga.network import Spiga, unit_image

__all__ = ["WholePatch", "build_exact", "reference"]


def build_exact(network: Spiga) -> Spiga:
    """Return a copy of a network that computes in float64.

    With untrained weights the cascade amplifies rounding of the pose a hundredfold: computed in
    float32, the landmarks of a white crop are off by 0.011 px, which is more than parity allows the
    graph.
    """
    exact = copy.deepcopy(network).double()
    exact.conv_window = nn.ModuleList(
        WholePatch(cast("nn.Conv2d", each)) for each in exact.conv_window
    )
    return exact


def reference(network: Spiga, crops: Tensor) -> dict[str, Tensor]:
    """Return every point of `Spiga.forward`, and ``landmarks``, those of the last step.

    Args:
        network: With weights, float32 or float64, and in that it computes.
        crops: ``(B, S, S, 3)`` uint8 BGR.

    Returns:
        float32.
    """
    points = network(unit_image(crops, network.pose_fc.weight.dtype))
    points["landmarks"] = points[f"step{network.hyperparameters.step_count}.landmarks"]
    return {name: point.float() for name, point in points.items()}


class WholePatch(nn.Module):
    """A convolution whose window is its whole input, as one product.

    torch 2.13 takes 0.45 s for that convolution of 98 patches in float64, and 0.02 s for the
    product.
    """

    def __init__(self, window: nn.Conv2d) -> None:
        super().__init__()
        self.window = window

    def forward(self, patches: Tensor) -> Tensor:
        """Return ``(K, D, 1, 1)`` from ``(K, C, P, P)``."""
        weight = self.window.weight.flatten(1)
        return functional.linear(patches.flatten(1), weight, self.window.bias)[..., None, None]
