"""The parity check's points are the network's, without the rounding of float32."""

from __future__ import annotations

import copy

import torch
from torch import nn

from facealign.models.families.spiga.network import Spiga, unit_image
from facealign.models.families.spiga.reference import WholePatch, build_exact, reference
from tests.unit.models.families.spiga.lively import relative_deviation

ROUNDING = 1e-6  # of the largest value: float64 to float32; max measured 5.4e-8


def test_points_are_those_of_the_network(network: Spiga, crops: torch.Tensor) -> None:
    found = reference(build_exact(network), crops)

    expected = copy.deepcopy(network).double()(unit_image(crops, torch.float64))
    deviations = {name: relative_deviation(found[name], expected[name]) for name in expected}
    assert max(deviations.values()) < ROUNDING
    assert torch.equal(found["landmarks"], found["step3.landmarks"])
    assert {point.dtype for point in found.values()} == {torch.float32}


def test_reference_leaves_the_network_as_it_was(network: Spiga, crops: torch.Tensor) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}

    reference(build_exact(network), crops)

    after = network.state_dict()
    assert all(
        torch.equal(after[key], before[key]) and after[key].dtype == before[key].dtype
        for key in before
    )
    assert set(after) == set(before)


def test_product_of_a_whole_patch_is_the_convolution() -> None:
    window = nn.Conv2d(3, 5, 7).double().requires_grad_(requires_grad=False)
    patches = torch.rand(4, 3, 7, 7, dtype=torch.float64)

    torch.testing.assert_close(WholePatch(window)(patches), window(patches))
