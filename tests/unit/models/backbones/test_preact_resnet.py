"""PreActResNet: norm before convolution, in the variations that the zoo has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbones.preact_resnet import (
    BACKBONE,
    PreActLayer,
    PreActResNet,
    PreActResNetHyperparameters,
)
from tests.unit.models.backbones.layers import batch_norm, coord_conv
from tests.unit.models.networks import shapes_of, with_recipe_weights

ABSOLUTE = 3e-6  # max measured 2.4e-7


def recipe_network(variant: str) -> PreActResNet:
    return with_recipe_weights(PreActResNet(BACKBONE.tiny()[variant]))


def random_maps(channels: int, size: int) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def test_preact_shortcut_convolves_the_activated_input() -> None:
    block = recipe_network("plain").get_submodule("layer3.0")
    maps = random_maps(4, 8)

    out = block(maps)

    state = block.state_dict()
    activated = batch_norm(maps, state, "bn1").relu()
    hidden = functional.conv2d(activated, state["conv1.weight"], stride=2, padding=1)
    hidden = batch_norm(hidden, state, "bn2").relu()
    hidden = functional.conv2d(hidden, state["conv2.weight"], padding=1)
    shortcut = functional.conv2d(activated, state["shortcut.0.weight"], stride=2)
    torch.testing.assert_close(out, hidden + shortcut, rtol=0, atol=ABSOLUTE)


def test_preact_block_without_shortcut_adds_the_raw_input() -> None:
    block = recipe_network("plain").get_submodule("layer2.1")
    maps = random_maps(4, 8)
    nn.init.zeros_(block.get_submodule("conv2").get_parameter("weight"))

    assert torch.equal(block(maps), maps)


def test_preact_bottleneck_strides_in_its_3x3() -> None:
    block = recipe_network("bottleneck").get_submodule("layer2.0")
    maps = random_maps(16, 8)

    out = block(maps)

    state = block.state_dict()
    activated = batch_norm(maps, state, "bn1").relu()
    hidden = batch_norm(functional.conv2d(activated, state["conv1.weight"]), state, "bn2").relu()
    hidden = functional.conv2d(hidden, state["conv2.weight"], stride=2, padding=1)
    hidden = functional.conv2d(batch_norm(hidden, state, "bn3").relu(), state["conv3.weight"])
    shortcut = functional.conv2d(activated, state["shortcut.0.weight"], stride=2)
    torch.testing.assert_close(out, hidden + shortcut, rtol=0, atol=ABSOLUTE)


def test_antialiased_block_halves_the_map_behind_a_blur() -> None:
    block = recipe_network("antialiased").get_submodule("layer4.0")
    maps = random_maps(6, 8)

    out = block(maps)

    state = block.state_dict()
    activated = batch_norm(maps, state, "bn1").relu()
    hidden = coord_conv(activated, state["conv1.conv.weight"])
    hidden = batch_norm(hidden, state, "bn2").relu()
    hidden = coord_conv(blurred(hidden), state["conv2.1.conv.weight"])
    shortcut = coord_conv(blurred(activated), state["shortcut.1.conv.weight"])
    torch.testing.assert_close(out, hidden + shortcut, rtol=0, atol=ABSOLUTE)


def blurred(maps: Tensor) -> Tensor:
    """Return every second cell of the maps, smoothed with a mirrored border."""
    pad = ((0, 0), (0, 0), (1, 1), (1, 1))
    mirrored: NDArray[np.float32] = np.pad(maps.numpy(), pad, mode="reflect")
    rows = (mirrored[:, :, :-2] + 2 * mirrored[:, :, 1:-1] + mirrored[:, :, 2:]) / 4
    both = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    return torch.from_numpy(both[:, :, ::2, ::2].copy())


def test_antialiased_stem_blurs_what_pooling_leaves_of_it() -> None:
    network = recipe_network("antialiased")
    maps = random_maps(4, 9)

    out = network.maxpool(maps)

    torch.testing.assert_close(
        out, blurred(functional.max_pool2d(maps, 2, stride=1)), rtol=0, atol=ABSOLUTE
    )


@pytest.mark.parametrize(
    ("variant", "layers"),
    [
        ("ibn", ["layer1", "layer2", "layer3", "layer4"]),
        ("ibn-a", ["layer1", "layer2", "layer3"]),
        ("plain", []),
    ],
)
def test_preact_has_instance_norm_first_in_the_blocks_of_its_layers(
    variant: str, layers: list[str]
) -> None:
    names = recipe_network(variant).state_dict()

    found = {key.split(".")[0] for key in names if key.endswith(".bn1.IN.weight")}

    assert sorted(found) == layers
    assert not any(".bn2.IN." in key for key in names)


def published(
    block_count: tuple[int, ...],
    *,
    bottlenecks: bool = False,
    stem: int = 64,
    last_ibn: bool = True,
) -> PreActResNetHyperparameters:
    layers = tuple(
        PreActLayer(count, stem << index, index < 3 or last_ibn, has_coordinates=False)
        for index, count in enumerate(block_count)
    )
    return PreActResNetHyperparameters(
        stem_channels=stem,
        stem_has_coordinates=False,
        has_bottlenecks=bottlenecks,
        is_antialiased=False,
        layers=layers,
    )


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        (published((2, 2, 2, 2)), "PreActResNet-18 IBN"),
        (published((2, 2, 2, 2), stem=32, last_ibn=False), "PreActResNet-18 light IBN-a"),
        (published((3, 4, 6, 3), stem=32, last_ibn=False), "PreActResNet-34 light IBN-a"),
        (published((3, 4, 6, 3), bottlenecks=True, last_ibn=False), "PreActResNet-50 IBN-a"),
        (published((3, 4, 23, 3), bottlenecks=True), "PreActResNet-101 IBN"),
        (published((3, 8, 36, 3), bottlenecks=True), "PreActResNet-152 IBN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_preact_of_the_zoo_is_told_from_names_and_shapes(
    sizes: PreActResNetHyperparameters, text: str
) -> None:
    with torch.device("meta"):
        shapes = shapes_of(PreActResNet(sizes))

    found = BACKBONE.read_hyperparameters(shapes)

    assert found == sizes
    assert BACKBONE.describe(found) == text
