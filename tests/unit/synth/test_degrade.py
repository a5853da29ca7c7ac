from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.synth.degrade import degrade

SIZE_PX, FACE_PX = 128, 90.0
GREY, WHITE = 60, 255
STILL_PX = 0.2  # largest measured 0.06


@pytest.fixture
def disk() -> NDArray[np.uint8]:
    """Return a white disk of 24 px on grey, in the middle."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - (SIZE_PX - 1) / 2
    picture = np.where(x**2 + y**2 < 12**2, WHITE, GREY).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2)


@pytest.mark.parametrize("seed", range(20))
def test_strong_degradation_leaves_things_where_they_are(
    disk: NDArray[np.uint8], seed: int
) -> None:
    picture = degrade(disk, np.random.default_rng(seed), is_strong=True, face_px=FACE_PX)

    bright = np.argwhere(picture.mean(axis=2) > (GREY + WHITE) / 2)
    np.testing.assert_allclose(bright.mean(axis=0), (SIZE_PX - 1) / 2, atol=STILL_PX)
