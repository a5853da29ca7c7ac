"""Channels of zeros do not change what a network computes."""

from __future__ import annotations

import pytest
import torch

from facealign.models.backbones.hrnet import HRNet, HRNetHyperparameters, HRNetStage
from facealign.models.blocks.aligned_channels import (
    aligned_count,
    aligned_hrnet_sizes,
    spread_input_channels,
    zero_padded,
)

SIZES = HRNetHyperparameters(
    stem_channels=8,
    layer1_block_count=1,
    layer1_channels=4,
    stages=(
        HRNetStage(module_count=1, block_count=1, channels=(6, 8)),
        HRNetStage(module_count=1, block_count=1, channels=(6, 8, 9)),
        HRNetStage(module_count=1, block_count=1, channels=(6, 8, 9, 10)),
    ),
)
ROUNDING = 1e-6  # of the largest value; max measured 1.5e-7


@pytest.mark.parametrize(
    ("channels", "aligned"), [(1, 4), (4, 4), (18, 20), (36, 36), (98, 100)], ids=str
)
def test_aligned_count_is_the_next_multiple_of_four(channels: int, aligned: int) -> None:
    assert aligned_count(channels) == aligned


def test_zero_padded_adds_zeros_behind() -> None:
    padded = zero_padded(torch.ones(2, 1), (3, 3))

    assert padded.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_spread_input_channels_adds_zeros_behind_every_branch() -> None:
    weight = torch.arange(1.0, 9.0).reshape(1, 8, 1, 1)

    spread = spread_input_channels(weight, (3, 4, 1))

    assert spread.flatten().tolist() == [1, 2, 3, 0, 4, 5, 6, 7, 8, 0, 0, 0]


@pytest.mark.parametrize("branch", range(4))
def test_aligned_hrnet_gives_the_same_branches_and_zeros(branch: int) -> None:
    torch.manual_seed(0)
    network = HRNet(SIZES).eval()
    aligned = HRNet(aligned_hrnet_sizes(SIZES)).eval()
    shapes = {key: value.shape for key, value in aligned.state_dict().items()}
    aligned.load_state_dict(
        {key: zero_padded(value, shapes[key]) for key, value in network.state_dict().items()}
    )
    image = torch.randn(2, 3, 64, 64)

    with torch.no_grad():
        expected, found = network(image)[branch], aligned(image)[branch]

    count = expected.shape[1]
    assert found.shape[1] == aligned_count(count)
    assert float((found[:, :count] - expected).abs().max() / expected.abs().max()) <= ROUNDING
    assert not found[:, count:].any()
