"""BlurPool: binomial weights, every second cell, a mirrored border."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facealign.models.blocks.blur_pool import BlurPool2d

ABSOLUTE = 1e-6  # max measured 7.5e-8


@pytest.mark.parametrize(("height", "width"), [(8, 6), (7, 5), (8, 7), (2, 2)])
def test_blur_pool_is_the_binomial_mean_of_mirrored_maps(height: int, width: int) -> None:
    maps = np.random.default_rng(1).normal(size=(2, 3, height, width)).astype(np.float32)

    pooled = BlurPool2d(3)(torch.from_numpy(maps)).numpy()

    mirrored = np.pad(maps.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    rows = (mirrored[:, :, :-2] + 2 * mirrored[:, :, 1:-1] + mirrored[:, :, 2:]) / 4
    blurred = (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:]) / 4
    assert pooled.shape == (2, 3, (height + 1) // 2, (width + 1) // 2)
    np.testing.assert_allclose(pooled, blurred[:, :, ::2, ::2], atol=ABSOLUTE)


def test_blur_pool_keeps_a_constant_map() -> None:
    pooled = BlurPool2d(2)(torch.full((1, 2, 6, 6), 3.5))

    assert pooled.unique().tolist() == [3.5]


def test_blur_pool_has_its_filter_in_the_state_dict_and_learns_nothing() -> None:
    layer = BlurPool2d(2)

    assert {key: tuple(value.shape) for key, value in layer.state_dict().items()} == {
        "filt": (2, 1, 3, 3)
    }
    assert not list(layer.parameters())
