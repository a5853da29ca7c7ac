"""Crops for the network of `tests/unit/export/conftest.py`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def crops(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return crops for `network`."""
    return rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
