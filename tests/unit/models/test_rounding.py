"""How much networks make of rounding, on two that are known: a calm one and a nervous one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models.family import Exportable, Family
from facealign.models.load import Model
from facealign.models.rounding import rounding_noise_px
from tests.conformance.toy_family import FAMILY, Toy

FAR_PX = 1.0
LAST_BIT_PX = 1e-4  # max measured 1.2e-5 px


class Nervous(nn.Module):
    """The difference of two large numbers that only rounding tells apart."""

    def __init__(self) -> None:
        super().__init__()
        self.large = nn.Parameter(torch.full((5, 2), 1e6))

    def forward(self, crops: Tensor) -> Tensor:
        one = torch.ones(len(crops), 1, 1)
        landmarks: Tensor = one * (self.large - 1e6)
        return landmarks


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3), np.uint8)


def model_of(network: nn.Module, family: Family) -> Model:
    sizes = family.tiny()["toy"]
    return Model(family, sizes, network, Exportable(), ("landmarks",), {})


def test_rounding_noise_of_calm_network_is_a_rounding(crops: NDArray[np.uint8]) -> None:
    torch.manual_seed(0)

    noise_px = rounding_noise_px(model_of(Toy(5).eval(), FAMILY), crops)

    assert 0 < noise_px < LAST_BIT_PX


def test_rounding_noise_of_nervous_network_is_large(crops: NDArray[np.uint8]) -> None:
    family = dataclasses.replace(
        FAMILY, reference=lambda network, pixels: {"landmarks": network(pixels)}
    )

    noise_px = rounding_noise_px(model_of(Nervous(), family), crops)

    assert noise_px > FAR_PX


def test_rounding_noise_leaves_the_network_alone(crops: NDArray[np.uint8]) -> None:
    network = Toy(5).eval()
    before = network.toy_head.weight.detach().clone()

    rounding_noise_px(model_of(network, FAMILY), crops)

    assert torch.equal(network.toy_head.weight, before)
