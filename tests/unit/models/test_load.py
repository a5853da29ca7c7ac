"""What a model gives beside its network: points in float64, by a copy that is made once."""

from __future__ import annotations

import dataclasses
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from facealign.models.family import Exportable
from facealign.models.load import Model
from tests.conformance.toy_family import FAMILY, Toy


@pytest.fixture
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)


@pytest.fixture
def build() -> Mock:
    """Return what counts its calls and gives another network."""
    torch.manual_seed(1)
    return Mock(side_effect=lambda _: Toy(5).eval())


def model_of(network: nn.Module, build: Mock | None) -> Model:
    family = dataclasses.replace(FAMILY, build_exact=build)
    return Model(family, family.tiny()["toy"], network, Exportable(), ("landmarks",), {})


def test_exact_points_are_those_of_a_network_that_is_built_once(
    build: Mock, crops: NDArray[np.uint8]
) -> None:
    network = Toy(5).eval()
    model = model_of(network, build)

    one, other = (model.exact_points(crops)["landmarks"] for _ in range(2))

    build.assert_called_once_with(network)
    assert np.array_equal(one, other)
    assert not np.array_equal(one, model.landmarks(crops))


def test_exact_points_of_another_network_are_built_anew(
    build: Mock, crops: NDArray[np.uint8]
) -> None:
    model = model_of(Toy(5).eval(), build)
    model.exact_points(crops)
    other = dataclasses.replace(model, network=Toy(5).eval())

    other.exact_points(crops)

    assert [call.args[0] for call in build.call_args_list] == [model.network, other.network]


def test_exact_points_are_the_points_when_the_family_has_no_other_network(
    crops: NDArray[np.uint8],
) -> None:
    model = model_of(Toy(5).eval(), None)

    assert np.array_equal(model.exact_points(crops)["landmarks"], model.landmarks(crops))
