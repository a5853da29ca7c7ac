"""ResNet: the form with coordinates, computed a second time block by block."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from make_checkpoint import recipe_state_dict
from torch import Tensor
from torch.nn import functional

from facealign.models.backbones.resnet import BACKBONE, ResNet

ABSOLUTE = 1e-5  # measured 0: the same operators in the same order
EPSILON = 1e-5


def recipe_network(variant: str) -> ResNet:
    network = ResNet(BACKBONE.tiny()[variant])
    network.load_state_dict(recipe_state_dict(network))
    return network.eval().requires_grad_(requires_grad=False)


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


def coord_conv(maps: Tensor, weight: Tensor, *, stride: int = 1) -> Tensor:
    steps = torch.linspace(-1, 1, maps.shape[-1])
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    coordinates = torch.stack([rows, columns]).repeat(maps.shape[0], 1, 1, 1)
    joined = torch.cat([maps, coordinates], dim=1)
    return functional.conv2d(joined, weight, stride=stride, padding=1)


def half_instance_norm(maps: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    half = maps.shape[1] // 2
    scale, shift = state[f"{name}.IN.weight"], state[f"{name}.IN.bias"]
    first = functional.instance_norm(maps[:, :half], weight=scale, bias=shift, eps=EPSILON)
    return torch.cat([first, batch_norm(maps[:, half:], state, f"{name}.BN")], dim=1)


def batch_norm(maps: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return functional.batch_norm(
        maps,
        state[f"{name}.running_mean"],
        state[f"{name}.running_var"],
        state[f"{name}.weight"],
        state[f"{name}.bias"],
        eps=EPSILON,
    )


@pytest.mark.parametrize("variant", ["plain", "coordconv-ibn"])
def test_resnet_without_classifier_is_read_as_such(variant: str) -> None:
    sizes = dataclasses.replace(BACKBONE.tiny()[variant], class_count=0)
    shapes = {key: tuple(value.shape) for key, value in ResNet(sizes).state_dict().items()}

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
