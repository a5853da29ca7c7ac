"""The module that is traced computes what the authors' network computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from make_checkpoint import recipe_state_dict
from torch import Tensor

from facealign.models.families.hrnet import FAMILY
from facealign.models.families.hrnet.exportable import ExportableHrnetFacial
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters
from facealign.models.families.hrnet.network import HrnetFacial

# Of the largest value of a point; max measured 8.1e-7, seeds 20 to 24, torch 2.13 on CPU.
POINT_BAR = 2e-5


@pytest.fixture(params=["wflw", "aflw"])
def network(request: pytest.FixtureRequest) -> HrnetFacial:
    network = HrnetFacial(HrnetFacialHyperparameters.tiny()[request.param])
    network.load_state_dict(recipe_state_dict(network))
    return network.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def crops(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))


def test_exportable_gives_every_point_of_the_network(network: HrnetFacial, crops: Tensor) -> None:
    exportable = ExportableHrnetFacial(network)

    found = dict(zip(exportable.output_names, exportable(crops), strict=True))

    expected = FAMILY.reference(network, crops)
    deviations = {
        name: float((point - expected[name]).abs().max() / expected[name].abs().max())
        for name, point in found.items()
        if name != "landmarks"
    }
    assert max(deviations.values()) < POINT_BAR
    assert set(expected) == {*found, "undecided"}


def test_exportable_gives_the_landmarks_that_are_decided(
    network: HrnetFacial, crops: Tensor
) -> None:
    expected = FAMILY.reference(network, crops)

    landmarks = ExportableHrnetFacial(network)(crops)[0]

    decided = ~expected["undecided"]
    assert decided.float().mean() > 0.5
    torch.testing.assert_close(landmarks[decided], expected["landmarks"][decided])


def test_exportable_leaves_the_network_as_it_was(network: HrnetFacial) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}

    ExportableHrnetFacial(network)

    after = network.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
