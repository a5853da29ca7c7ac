"""IBN: the first half of the channels depends on the picture, the second does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from facealign.models.blocks.instance_batch_norm import InstanceBatchNorm2d

ABSOLUTE = 3e-6  # max measured 2.7e-7
EPSILON = 1e-5


@pytest.mark.parametrize("channels", [6, 5], ids=["even", "odd"])
def test_instance_batch_norm_is_the_two_norms_side_by_side(channels: int) -> None:
    torch.manual_seed(2)
    layer = trained(InstanceBatchNorm2d(channels))
    maps = torch.randn(3, channels, 5, 4) * 2 + 1

    out = layer(maps).detach().numpy()

    state = {key: value.double().numpy() for key, value in layer.state_dict().items()}
    half = channels // 2
    first, second = np.split(maps.double().numpy(), [half], axis=1)
    first = (first - first.mean((2, 3), keepdims=True)) / np.sqrt(
        first.var((2, 3), keepdims=True) + EPSILON
    )
    second = (second - by_channel(state["BN.running_mean"])) / np.sqrt(
        by_channel(state["BN.running_var"]) + EPSILON
    )
    first = first * by_channel(state["IN.weight"]) + by_channel(state["IN.bias"])
    second = second * by_channel(state["BN.weight"]) + by_channel(state["BN.bias"])
    np.testing.assert_allclose(out, np.concatenate([first, second], axis=1), atol=ABSOLUTE)


def trained(layer: InstanceBatchNorm2d) -> InstanceBatchNorm2d:
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    layer(torch.randn(4, layer.split[0] + layer.split[1], 5, 5) * 3 - 1)
    return layer.eval()


def by_channel(vector: np.ndarray) -> np.ndarray:
    return vector.reshape(-1, 1, 1)
