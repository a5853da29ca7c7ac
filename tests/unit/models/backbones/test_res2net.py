"""Res2Net: each part of the channels sees what the parts before it have become."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbones.res2net import BACKBONE, Res2Net, Res2NetHyperparameters
from tests.unit.models.backbones.layers import batch_norm
from tests.unit.models.networks import with_recipe_weights

ABSOLUTE = 1e-5  # measured 0: the same operators in the same order
PUBLISHED_MILLION = 25.7  # parameters of Res2Net-50 of width 26 and scale 4, classifier included
RES2NET_50 = Res2NetHyperparameters(
    stem_channels=64,
    block_counts=(3, 4, 6, 3),
    part_channels=(26, 52, 104, 208),
    channels=(256, 512, 1024, 2048),
    part_count=4,
    class_count=1000,
)


def recipe_network() -> Res2Net:
    return with_recipe_weights(Res2Net(BACKBONE.tiny()["bottleneck"]))


def random_maps(channels: int) -> Tensor:
    return torch.randn(2, channels, 8, 8, generator=torch.Generator().manual_seed(1))


def test_res2net_block_passes_each_part_on_to_the_next() -> None:
    block = recipe_network().get_submodule("layer2.1")
    maps = random_maps(8)

    out = block(maps)

    state = block.state_dict()
    parts = batch_norm(functional.conv2d(maps, state["conv1.weight"]), state, "bn1").relu()
    x1, x2, x3, x4 = parts[:, :3], parts[:, 3:6], parts[:, 6:9], parts[:, 9:]
    y1 = part_conv(x1, state, 0)
    y2 = part_conv(x2 + y1, state, 1)
    y3 = part_conv(x3 + y2, state, 2)
    expected = projected(torch.cat([y1, y2, y3, x4], dim=1), state) + maps
    torch.testing.assert_close(out, expected.relu(), rtol=0, atol=ABSOLUTE)


def test_res2net_first_block_takes_each_part_by_itself_and_pools_the_last() -> None:
    block = recipe_network().get_submodule("layer2.0")
    maps = random_maps(6)

    out = block(maps)

    state = block.state_dict()
    parts = batch_norm(functional.conv2d(maps, state["conv1.weight"]), state, "bn1").relu()
    convolved = [part_conv(parts[:, 3 * i : 3 * i + 3], state, i, stride=2) for i in range(3)]
    pooled = functional.avg_pool2d(parts[:, 9:], 3, stride=2, padding=1)
    shortcut = functional.conv2d(maps, state["downsample.0.weight"], stride=2)
    shortcut = batch_norm(shortcut, state, "downsample.1")
    expected = projected(torch.cat([*convolved, pooled], dim=1), state) + shortcut
    torch.testing.assert_close(out, expected.relu(), rtol=0, atol=ABSOLUTE)


def part_conv(part: Tensor, state: dict[str, Tensor], index: int, *, stride: int = 1) -> Tensor:
    weight = state[f"convs.{index}.weight"]
    out = functional.conv2d(part, weight, stride=stride, padding=1)
    return batch_norm(out, state, f"bns.{index}").relu()


def projected(parts: Tensor, state: dict[str, Tensor]) -> Tensor:
    return batch_norm(functional.conv2d(parts, state["conv3.weight"]), state, "bn3")


def test_res2net_50_has_as_many_parameters_as_published() -> None:
    with torch.device("meta"):
        network: nn.Module = Res2Net(RES2NET_50)

    million = sum(parameter.numel() for parameter in network.parameters()) / 1e6

    assert million == pytest.approx(PUBLISHED_MILLION, abs=0.05)
    assert BACKBONE.describe(RES2NET_50) == "Res2Net-50 26w x 4s"
    assert BACKBONE.written_from == "the paper"
