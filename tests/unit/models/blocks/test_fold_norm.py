"""A norm goes into the mapped convolution before it, and only there."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from facealign.models.blocks.coord_conv import MappedConv2d
from facealign.models.blocks.fold_norm import fold_norm
from facealign.models.blocks.instance_batch_norm import InstanceBatchNorm2d

ABSOLUTE = 3e-5  # max measured 5.7e-6


class Block(nn.Module):
    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(maps))
        return out


def mapped_conv() -> MappedConv2d:
    return MappedConv2d(torch.randn(5, 3, 3, 3), torch.randn(1, 5, 6, 6), stride=1, padding=1)


def trained(norm: nn.Module) -> nn.Module:
    """Return a norm that has seen pictures, and learned from them."""
    for _ in range(10):
        norm(torch.randn(4, 5, 6, 6) * 2 + 3)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return norm.eval()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(5)


@pytest.mark.parametrize("norm_class", [nn.BatchNorm2d, InstanceBatchNorm2d])
def test_fold_norm_keeps_what_the_block_gives(norm_class: type[nn.Module]) -> None:
    block = Block(mapped_conv(), trained(norm_class(5)))
    folded = copy.deepcopy(block)
    maps = torch.randn(2, 3, 6, 6)

    fold_norm(folded, "conv", "norm")

    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(maps), block(maps), rtol=0, atol=ABSOLUTE)


@pytest.mark.parametrize("norm_class", [nn.BatchNorm2d, InstanceBatchNorm2d])
def test_fold_norm_changes_nothing_the_second_time(norm_class: type[nn.Module]) -> None:
    block = Block(mapped_conv(), trained(norm_class(5)))
    fold_norm(block, "conv", "norm")
    conv = block.conv

    fold_norm(block, "conv", "norm")

    assert block.conv is conv


def test_fold_norm_leaves_a_plain_convolution_to_the_exporter() -> None:
    block = Block(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    conv, norm = block.conv, block.norm

    fold_norm(block, "conv", "norm")
    fold_norm(block, "conv", "no_such_norm")

    assert (block.conv, block.norm) == (conv, norm)
