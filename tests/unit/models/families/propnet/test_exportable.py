"""The module that is traced computes what the plain network computes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from facealign.models.blocks.blur_pool import BlurPool2d
from facealign.models.families.propnet import FAMILY
from facealign.models.families.propnet.exportable import ExportablePropNet, FoldedBlurPool
from facealign.models.families.propnet.network import PropNet
from tests.unit.models.families.exportable import (
    assert_decided_landmarks_agree,
    assert_holds,
    exportable_points,
    point_deviations,
    tensors_of,
)
from tests.unit.models.networks import tiny_network

# Of the largest value of a point; max measured 1.9e-5, seeds 20 to 24, torch 2.13 on CPU.
POINT_BAR = 1e-4


@pytest.fixture(params=["wflw", "cofw"])
def network(request: pytest.FixtureRequest) -> PropNet:
    network = tiny_network(FAMILY, request.param)
    assert isinstance(network, PropNet)
    return network


def test_exportable_gives_every_point_of_the_network(network: PropNet, crops: Tensor) -> None:
    found = exportable_points(ExportablePropNet(network), crops)

    expected = FAMILY.reference(network, crops)
    deviations = point_deviations(found, expected)
    del deviations["landmarks"]  # those that are decided have a test of their own
    assert max(deviations.values()) < POINT_BAR
    assert set(found) < set(expected)


def test_exportable_gives_the_landmarks_that_are_decided(network: PropNet, crops: Tensor) -> None:
    expected = FAMILY.reference(network, crops)

    landmarks = ExportablePropNet(network)(crops)[0]

    assert_decided_landmarks_agree(landmarks, expected)


def test_exportable_has_nothing_of_the_last_propagation_module(network: PropNet) -> None:
    in_one_module = sum(p.numel() for p in network.last_propagation.parameters())
    of_network = sum(p.numel() for p in network.parameters())

    exportable = ExportablePropNet(network)

    decode = sum(p.numel() for p in exportable.decode.parameters())
    positions = sum(p.numel() for name, p in exportable.named_parameters() if "bias_map" in name)
    learned = sum(p.numel() for p in exportable.parameters()) - decode - positions
    assert learned < of_network - 0.9 * in_one_module


def test_exportable_leaves_the_network_as_it_was(network: PropNet) -> None:
    before = tensors_of(network)

    ExportablePropNet(network)

    assert_holds(network, before)


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 2), (8, 6), (64, 64)], ids=str)
def test_two_average_pools_are_a_blur_pool(height: int, width: int) -> None:
    maps = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))

    found = FoldedBlurPool()(maps)

    torch.testing.assert_close(found, BlurPool2d(3)(maps))


def test_last_propagation_module_may_be_absent_from_a_checkpoint() -> None:
    assert FAMILY.is_unused("last_propagation.fuse.weight", (256, 271, 1, 1))
    assert not FAMILY.is_unused("propagations.2.fuse.weight", (256, 271, 1, 1))
