"""Tiny SPIGA networks in which no norm, bias or statistic is trivial."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facealign.models.families.spiga import FAMILY
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters
from facealign.models.families.spiga.network import Spiga
from tests.unit.models.families.spiga.lively import make_lively


@pytest.fixture(params=["wflw", "300w"])
def network(request: pytest.FixtureRequest) -> Spiga:
    sizes = SpigaHyperparameters.tiny()[request.param]
    face = torch.from_numpy(FAMILY.made_up_assets(sizes)["face-model"])
    return make_lively(Spiga(sizes, face))


@pytest.fixture
def crops(network: Spiga, rng: np.random.Generator) -> torch.Tensor:
    """Return three crops of noise, uint8 BGR."""
    size_px = network.hyperparameters.crop_size_px
    return torch.from_numpy(rng.integers(0, 256, (3, size_px, size_px, 3), dtype=np.uint8))


@pytest.fixture
def field(network: Spiga, rng: np.random.Generator) -> torch.Tensor:
    """Return a visual field of noise, positive as behind a ReLU, and largest at its border."""
    sizes = network.hyperparameters
    shape = (3, sizes.channels, sizes.map_size, sizes.map_size)
    noise = rng.uniform(0.5, 1.5, shape).astype(np.float32)
    noise[..., [0, -1], :] *= 3
    noise[..., :, [0, -1]] *= 3
    return torch.from_numpy(noise)


@pytest.fixture(params=["inside", "at the border", "far outside"])
def landmarks(request: pytest.FixtureRequest, network: Spiga) -> torch.Tensor:
    """Return ``(3, N, 2)`` landmarks, x and y as a fraction of the crop."""
    low, high = {"inside": (0.3, 0.7), "at the border": (-0.1, 1.1), "far outside": (-9, 9)}[
        request.param
    ]
    generator = torch.Generator().manual_seed(1)
    shape = (3, network.hyperparameters.landmark_count, 2)
    return torch.rand(shape, generator=generator) * (high - low) + low
