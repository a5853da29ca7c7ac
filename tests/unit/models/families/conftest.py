"""Crops of the size that most tiny networks take."""

from __future__ import annotations

import numpy as np
import pytest
import torch


@pytest.fixture
def crops(rng: np.random.Generator) -> torch.Tensor:
    """Return ``(3, 64, 64, 3)`` crops of noise, uint8 BGR."""
    return torch.from_numpy(rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
