"""EfficientNet: padding for one crop, used on another; strides and sizes from shapes."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from facealign.models.backbone import shapes_under
from facealign.models.backbones.efficientnet import BACKBONE, EfficientNetHyperparameters
from tests.unit.models.networks import published_shapes, shapes_of

CROP_PX = 256
ABSOLUTE = 3e-6  # max measured 2.4e-7
# SPEC 4.9: the only convolution of the two whose padding is not that for crops of 256 px.
B1_QUIRK = ("_blocks.16._depthwise_conv", (2, 2), (1, 2))


def authors_sizes(name: str) -> EfficientNetHyperparameters:
    shapes = published_shapes(f"sdfl_efficientnet_{name}_lgrl")
    sizes: EfficientNetHyperparameters = BACKBONE.read_hyperparameters(
        shapes_under(shapes, "backbone.")
    )
    return sizes


@pytest.mark.parametrize(("name", "expected"), [("b0", []), ("b1", [B1_QUIRK])], ids=["b0", "b1"])
def test_efficientnet_pads_for_256_px_but_for_one_block_of_b1(
    name: str, expected: list[tuple[str, tuple[int, int], tuple[int, int]]]
) -> None:
    with torch.device("meta"):
        network = BACKBONE.build(authors_sizes(name)).eval()
        inputs = input_sizes(network)

    found = [
        (layer_name, zeros(layer), same_zeros(inputs[layer_name], layer))
        for layer_name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1)
    ]

    assert len(found) == 1 + len(authors_sizes(name).blocks)
    assert [each for each in found if each[1] != each[2]] == expected


def input_sizes(network: nn.Module) -> dict[str, int]:
    """Return the side of the map that reaches each convolution with crops of 256 px."""
    sizes: dict[str, int] = {}
    for name, layer in network.named_modules():

        def note(_layer: nn.Module, inputs: tuple[torch.Tensor], name: str = name) -> None:
            sizes[name] = inputs[0].shape[-1]

        layer.register_forward_pre_hook(note)
    network(torch.zeros(1, 3, CROP_PX, CROP_PX))
    return sizes


def zeros(layer: nn.Conv2d) -> tuple[int, int]:
    """Return how many zeros a layer puts before and behind its rows."""
    before, behind = getattr(layer, "zeros", (layer.padding[0], layer.padding[0]))
    return int(before), int(behind)


def same_zeros(size: int, layer: nn.Conv2d) -> tuple[int, int]:
    """Return TensorFlow's SAME padding of a map of that size, before and behind."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    count = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return count // 2, count - count // 2


def test_efficientnet_b1_block_16_pads_two_zeros_on_every_side() -> None:
    sizes = authors_sizes("b1")
    torch.manual_seed(6)
    layer = BACKBONE.build(sizes).get_submodule(B1_QUIRK[0])
    maps = torch.randn(1, sizes.blocks[16].hidden_channels, 16, 16)

    with torch.no_grad():
        out = layer(maps)

    weight = layer.state_dict()["weight"]
    padded = functional.pad(maps, (2, 2, 2, 2))
    expected = functional.conv2d(padded, weight, stride=2, groups=weight.shape[0])
    assert out.shape[-2:] == (8, 8)
    torch.testing.assert_close(out, expected, rtol=0, atol=ABSOLUTE)


def test_efficientnet_puts_the_odd_zero_behind_the_map() -> None:
    torch.manual_seed(6)
    layer = BACKBONE.build(BACKBONE.tiny()["b0"]).get_submodule("_conv_stem")
    image = torch.randn(1, 3, 32, 32)

    with torch.no_grad():
        out = layer(image)

    padded = functional.pad(image, (0, 1, 0, 1))
    expected = functional.conv2d(padded, layer.state_dict()["weight"], stride=2)
    torch.testing.assert_close(out, expected, rtol=0, atol=ABSOLUTE)


def test_efficientnet_block_weighs_its_channels_by_their_means() -> None:
    torch.manual_seed(6)
    block = BACKBONE.build(BACKBONE.tiny()["b1"]).eval().get_submodule("_blocks.1")
    maps = torch.randn(2, 3, 8, 8)

    with torch.no_grad():
        out = block(maps)

    state = block.state_dict()
    hidden = functional.conv2d(maps, state["_depthwise_conv.weight"], padding=1, groups=3)
    hidden = functional.silu(norm(hidden))
    means = hidden.mean(dim=(2, 3), keepdim=True)
    squeezed = functional.conv2d(means, state["_se_reduce.weight"], state["_se_reduce.bias"])
    weights = functional.conv2d(
        functional.silu(squeezed), state["_se_expand.weight"], state["_se_expand.bias"]
    )
    weighed = hidden * torch.sigmoid(weights)
    expected = maps + norm(functional.conv2d(weighed, state["_project_conv.weight"]))
    torch.testing.assert_close(out, expected, rtol=0, atol=ABSOLUTE)


def norm(maps: torch.Tensor) -> torch.Tensor:
    """Return what an untrained BatchNorm2d with the authors' epsilon gives."""
    return maps / math.sqrt(1 + 1e-3)


def test_efficientnet_refuses_b2_and_up() -> None:
    sizes = dataclasses.replace(authors_sizes("b1"), head_channels=1408)
    with torch.device("meta"):
        shapes = shapes_of(BACKBONE.build(sizes))

    with pytest.raises(KeyError, match="at most 1280 channels, as in b0 and b1"):
        BACKBONE.read_hyperparameters(shapes)


def test_efficientnet_refuses_blocks_of_another_network() -> None:
    sizes = authors_sizes("b0")
    shorter = dataclasses.replace(sizes, blocks=sizes.blocks[:-1])
    with torch.device("meta"):
        shapes = shapes_of(BACKBONE.build(shorter))

    with pytest.raises(KeyError, match="as in EfficientNet b0 or b1"):
        BACKBONE.read_hyperparameters(shapes)
