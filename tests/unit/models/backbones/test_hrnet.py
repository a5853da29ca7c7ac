"""HRNet: shapes tell its hyper-parameters, and its branches have their strides."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from make_checkpoint import model_detection
from numpy.typing import NDArray

from facealign.models.backbones.hrnet import (
    HRNet,
    HRNetHyperparameters,
    HRNetStage,
    PooledHRNet,
    concatenate_branches,
    hrnet_from_shapes,
)
from tests.unit.models.networks import shapes_of

W18_LITE = model_detection("slpt_98_dec6").hyperparameters.backbone
ABSOLUTE = 3e-7  # max measured 3e-8
SEVERAL_MODULES = HRNetHyperparameters(
    stem_channels=8,
    layer1_block_count=2,
    layer1_channels=4,
    stages=(
        HRNetStage(module_count=1, block_count=1, channels=(2, 3)),
        HRNetStage(module_count=4, block_count=2, channels=(2, 3, 4)),
        HRNetStage(module_count=3, block_count=1, channels=(2, 3, 4, 5)),
    ),
)


@pytest.mark.parametrize(
    "hyperparameters", [W18_LITE, SEVERAL_MODULES], ids=["W18-lite", "several modules"]
)
@pytest.mark.parametrize("prefix", ["", "backbone."], ids=["bare", "prefixed"])
def test_hrnet_from_shapes_returns_what_the_network_was_built_from(
    hyperparameters: HRNetHyperparameters, prefix: str
) -> None:
    own = shapes_of(HRNet(hyperparameters))
    shapes = {prefix + key: shape for key, shape in own.items()}

    found = hrnet_from_shapes(shapes, prefix=prefix)

    assert found == hyperparameters


def test_hrnet_from_shapes_names_the_missing_key() -> None:
    with pytest.raises(KeyError, match=r"stage2\.0\.branches\.0\.0\.conv1\.weight"):
        hrnet_from_shapes({"conv1.weight": (64, 3, 3, 3)})


def test_hrnet_gives_branches_at_strides_4_to_32() -> None:
    network = HRNet(SEVERAL_MODULES).eval()

    with torch.no_grad():
        branches = network(torch.zeros(2, 3, 64, 96))

    assert [tuple(branch.shape) for branch in branches] == [
        (2, 2, 16, 24),
        (2, 3, 8, 12),
        (2, 4, 4, 6),
        (2, 5, 2, 3),
    ]


def test_concatenate_branches_brings_all_to_the_finest_size() -> None:
    branches = [torch.full((1, index + 1, 8 >> index, 8 >> index), index) for index in range(3)]

    joined = concatenate_branches([branch.float() for branch in branches])

    assert joined.shape == (1, 6, 8, 8)
    assert joined[0, :, 3, 3].tolist() == [0, 1, 1, 2, 2, 2]


def test_pooled_hrnet_means_the_four_middle_cells_of_each_branch() -> None:
    network = PooledHRNet(SEVERAL_MODULES).eval()
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        (pooled,) = network(image)
        branches = network.branches_from_stem(network.conv1(image))

    expected = [middle_means(branch.numpy(), branch.shape[-1] // 2) for branch in branches[:-1]]
    joined = np.concatenate([*expected, branches[-1].numpy()], axis=1)
    np.testing.assert_allclose(pooled.numpy(), joined, atol=ABSOLUTE)


def middle_means(maps: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the mean of the 2x2 cells in the middle of every ``factor x factor`` cells."""
    first, second = factor // 2 - 1, factor // 2
    rows = maps[:, :, first::factor] + maps[:, :, second::factor]
    return np.asarray((rows[..., first::factor] + rows[..., second::factor]) / 4, np.float32)
