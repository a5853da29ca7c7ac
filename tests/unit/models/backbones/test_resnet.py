"""ResNet: the form with coordinates, computed a second time block by block."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from facealign.models.backbones.resnet import BACKBONE, ResNet
from tests.unit.models.backbones.layers import EPSILON, batch_norm, coord_conv
from tests.unit.models.networks import shapes_of, with_recipe_weights

ABSOLUTE = 1e-5  # measured 0: the same operators in the same order


def recipe_network(variant: str) -> ResNet:
    return with_recipe_weights(ResNet(BACKBONE.tiny()[variant]))


def test_resnet_with_coordinates_normalises_half_of_the_channels_over_the_map() -> None:
    block = recipe_network("coordconv-ibn").get_submodule("layer2.0")
    maps = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))

    out = block(maps)

    state = block.state_dict()
    hidden = coord_conv(maps, state["conv1.conv.weight"], stride=2)
    hidden = half_instance_norm(hidden, state, "bn1").relu()
    hidden = half_instance_norm(coord_conv(hidden, state["conv2.conv.weight"]), state, "bn2")
    shortcut = functional.conv2d(maps, state["downsample.0.weight"], stride=2)
    shortcut = batch_norm(shortcut, state, "downsample.1")
    torch.testing.assert_close(out, (hidden + shortcut).relu(), rtol=0, atol=ABSOLUTE)


def half_instance_norm(maps: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    half = maps.shape[1] // 2
    scale, shift = state[f"{name}.IN.weight"], state[f"{name}.IN.bias"]
    first = functional.instance_norm(maps[:, :half], weight=scale, bias=shift, eps=EPSILON)
    return torch.cat([first, batch_norm(maps[:, half:], state, f"{name}.BN")], dim=1)


@pytest.mark.parametrize("variant", ["plain", "coordconv-ibn"])
def test_resnet_without_classifier_is_read_as_such(variant: str) -> None:
    sizes = dataclasses.replace(BACKBONE.tiny()[variant], class_count=0)
    shapes = shapes_of(ResNet(sizes))

    assert BACKBONE.read_hyperparameters(shapes) == sizes
    assert not any(key.startswith("fc.") for key in shapes)


def test_resnet_exportable_has_no_norm_left_but_of_half_the_channels() -> None:
    network = recipe_network("coordconv-ibn")

    exportable = BACKBONE.exportable(network, 64)

    blocks = [exportable.get_submodule(f"layer{number}") for number in range(1, 5)]
    names = {type(module).__name__ for block in blocks for module in block.modules()}
    assert "CoordConv2d" not in names
    assert "InstanceNorm2d" in names
    left = {
        name
        for name, module in exportable.named_modules()
        if type(module).__name__ == "BatchNorm2d" and "downsample" not in name
    }
    assert left == {"bn1"}
