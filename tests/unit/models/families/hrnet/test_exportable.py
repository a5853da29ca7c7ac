"""The module that is traced computes what the authors' network computes."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from facealign.models.families.hrnet import FAMILY
from tests.unit.models.families.exportable import (
    assert_decided_landmarks_agree,
    assert_holds,
    exportable_points,
    point_deviations,
    tensors_of,
)
from tests.unit.models.networks import tiny_network

# Of the largest value of a point; max measured 8.1e-7, seeds 20 to 24, torch 2.13 on CPU.
POINT_BAR = 2e-5


@pytest.fixture(params=["wflw", "aflw"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    return tiny_network(FAMILY, request.param)


def test_exportable_gives_every_point_of_the_network(network: nn.Module, crops: Tensor) -> None:
    found = exportable_points(FAMILY.build_exportable(network), crops)

    expected = FAMILY.reference(network, crops)
    deviations = point_deviations(found, expected)
    del deviations["landmarks"]  # those that are decided have a test of their own
    assert max(deviations.values()) < POINT_BAR
    assert set(expected) == {*found, "undecided"}


def test_exportable_gives_the_landmarks_that_are_decided(network: nn.Module, crops: Tensor) -> None:
    expected = FAMILY.reference(network, crops)

    landmarks = FAMILY.build_exportable(network)(crops)[0]

    assert_decided_landmarks_agree(landmarks, expected)


def test_exportable_leaves_the_network_as_it_was(network: nn.Module) -> None:
    before = tensors_of(network)

    FAMILY.build_exportable(network)

    assert_holds(network, before)
