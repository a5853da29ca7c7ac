"""The hierarchical block keeps what each of its convolutions gives; the hourglass keeps sizes."""

from __future__ import annotations

import pytest
import torch

from facealign.models.blocks.hierarchical_block import HierarchicalBlock, Hourglass

BLOCK_PARAMETERS = 406_400  # SPEC 6.2, of 256 channels
DEPTH_2_PARAMETERS = 2_844_800  # SPEC 6.2


def test_block_has_the_parameters_of_the_published_one() -> None:
    block = HierarchicalBlock(256, 256)

    assert sum(parameter.numel() for parameter in block.parameters()) == BLOCK_PARAMETERS


def test_hourglass_has_the_parameters_of_the_published_one() -> None:
    with torch.device("meta"):
        hourglass = Hourglass(256, 2)

    assert sum(parameter.numel() for parameter in hourglass.parameters()) == DEPTH_2_PARAMETERS


def test_block_adds_its_input_when_its_convolutions_give_nothing() -> None:
    block = HierarchicalBlock(8, 8).eval()
    for conv in (block.conv1, block.conv2, block.conv3):
        torch.nn.init.zeros_(conv.weight)
    maps = torch.randn(2, 8, 5, 5)

    assert torch.equal(block(maps), maps)


@pytest.mark.parametrize("level", [0, 1, 2], ids=["half", "quarter", "last quarter"])
def test_each_convolution_fills_its_own_channels(level: int) -> None:
    torch.manual_seed(0)
    block = HierarchicalBlock(8, 8).eval()
    torch.nn.init.zeros_((block.conv1, block.conv2, block.conv3)[level].weight)
    maps = torch.rand(1, 8, 5, 5)

    change = (block(maps) - maps).abs().amax(dim=(0, 2, 3))

    first = (0, 4, 6)[level]
    assert not change[first:].any()  # with nothing to go on from, the later ones are silent too
    assert bool((change[:first] > 0).all())


@pytest.mark.parametrize("depth", [1, 3])
def test_hourglass_keeps_the_size_of_its_maps(depth: int) -> None:
    maps = torch.randn(1, 8, 8, 16)

    assert Hourglass(8, depth).eval()(maps).shape == maps.shape


def test_hourglass_sees_the_whole_map_from_its_bottom() -> None:
    torch.manual_seed(0)
    hourglass = Hourglass(8, 4).eval()
    maps = torch.rand(1, 8, 32, 32)
    touched = maps.clone()
    touched[..., 0, 0] += 1

    with torch.no_grad():
        change = (hourglass(touched) - hourglass(maps)).abs()

    assert float(change[..., -1, -1].max()) > 0
