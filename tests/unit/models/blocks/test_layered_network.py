"""The frame that the ResNets share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facealign.models.blocks.layered_network import LayeredNetwork, is_classifier


def test_layered_network_returns_the_map_of_each_layer() -> None:
    layers = [nn.Conv2d(2, 3, 1), nn.AvgPool2d(2), nn.AvgPool2d(2), nn.AvgPool2d(2)]
    network = LayeredNetwork(nn.Conv2d(3, 2, 7, stride=2, padding=3), layers, stem_channels=2)

    with torch.no_grad():
        maps = network.eval()(torch.zeros(1, 3, 64, 96))

    assert [tuple(each.shape[1:]) for each in maps] == [
        (3, 16, 24),
        (3, 8, 12),
        (3, 4, 6),
        (3, 2, 3),
    ]


@pytest.mark.parametrize(("key", "expected"), [("fc.weight", True), ("layer1.0.fc.weight", False)])
def test_only_the_classifier_itself_is_one(key: str, *, expected: bool) -> None:
    assert is_classifier(key, (1,)) is expected
