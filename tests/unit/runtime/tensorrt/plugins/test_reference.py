from __future__ import annotations

import numpy as np
import pytest

from facealign.runtime.tensorrt.plugins.reference import crop_patches
from tests.grid_sample import grid_sample
from tests.patch_crop import CASES, case

TOLERANCE = 1e-5  # largest measured 1.2e-07: 30 seeds, maps within 1, ONNX Runtime 1.31


@pytest.mark.parametrize("name", CASES)
def test_crop_patches_is_grid_sample_of_onnx_runtime(name: str, rng: np.random.Generator) -> None:
    features, grid = case(name, rng)

    patches = crop_patches(features, grid)

    np.testing.assert_allclose(patches, grid_sample(features, grid), atol=TOLERANCE, rtol=0)


def test_crop_patches_gives_0_where_the_grid_is_infinite(rng: np.random.Generator) -> None:
    features, grid = case("random", rng)
    grid[0, 0, 0] = np.inf, 0
    grid[1, 0, 0] = 0, -np.inf

    patches = crop_patches(features, grid)

    assert not patches[:, :, 0, 0].any()
    assert patches[:, :, 0, 1].any()
