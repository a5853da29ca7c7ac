"""The projection in two products equals rotating and projecting."""

from __future__ import annotations

import pytest
import torch

from facealign.models.families.spiga.network import Spiga, rotation
from facealign.models.families.spiga.projection import Projection, rotation_series

EXACT = 1e-13  # float64; max measured 3e-15
LANDMARK_BAR = 2e-6  # of the crop, float32; max measured 2.4e-7


def test_series_is_the_rotation_at_any_angle() -> None:
    generator = torch.Generator().manual_seed(0)
    degrees = torch.rand(200, 3, generator=generator, dtype=torch.float64) * 720 - 360
    frequencies, phases, coefficients = rotation_series()

    cosines = torch.cos(degrees.deg2rad() @ frequencies.T + phases)
    found = torch.einsum("ijf,bf->bij", coefficients, cosines)

    assert float((found - rotation(degrees)).abs().max()) < EXACT


def test_coefficients_of_series_are_quarters() -> None:
    _, _, coefficients = rotation_series()

    assert torch.equal(coefficients * 4, torch.round(coefficients * 4))
    assert bool((coefficients.abs().sum(dim=(0, 1)) > 0).all())


@pytest.mark.parametrize("spread", [5.0, 60.0], ids=["near the front", "wild"])
def test_projection_gives_landmarks_of_the_reference(network: Spiga, spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    angles = torch.randn(50, 3, generator=generator) * spread
    shifts = torch.randn(50, 3, generator=generator) * 0.1 + torch.tensor([0.0, 0.0, 3.0])
    pose = torch.cat([angles, shifts], dim=1)

    found = Projection(network)(pose).transpose(1, 2)

    assert float((found - network.projected(pose)).abs().max()) < LANDMARK_BAR
