"""Crops become mean 0 and deviation 1, and flat ones 0, both plainly and as traced."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from facealign.export.graph import bytes_from_graph
from facealign.export.passes.simplify import simplify
from facealign.export.trace import trace
from facealign.models.blocks.normalisation import traced_z_score, z_score
from facealign.models.family import Exportable
from facealign.runtime.ort_engine import run_graph

Normalise = Callable[[Tensor], Tensor]

SIZE = 256  # sums of flat crops are exact up to here
# Measured 1.3e-6 row by row, and 5.5e-6 with one ReduceMean over all squares; ONNX Runtime 1.31.
GRAPH_RELATIVE = 3e-6
RELATIVE = 2e-6  # of the largest value; max measured 1.0e-7 against float64


def noise() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


def flat(level: int) -> NDArray[np.uint8]:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def one_pixel_off() -> NDArray[np.uint8]:
    """Return the smallest deviation there is above 0."""
    crop = flat(200)
    crop[3, 4] = 201
    return crop


def one_flat_channel() -> NDArray[np.uint8]:
    crop = noise()
    crop[..., 1] = 255
    return crop


each_crop = pytest.mark.parametrize(
    "crop",
    [
        pytest.param(noise(), id="noise"),
        pytest.param(one_pixel_off(), id="one pixel off"),
        pytest.param(one_flat_channel(), id="one flat channel"),
        pytest.param(flat(0), id="black"),
        pytest.param(flat(77), id="grey"),
        pytest.param(flat(255), id="white"),
    ],
)


@each_crop
@pytest.mark.parametrize("normalise", [z_score, traced_z_score])
def test_normalisation_is_that_of_float64(crop: NDArray[np.uint8], normalise: Normalise) -> None:
    image = crop.astype(np.float64).transpose(2, 0, 1)
    std = image.std(axis=(1, 2), keepdims=True)
    expected = (image - image.mean(axis=(1, 2), keepdims=True)) / np.where(std < 1e-6, 1, std)

    found = normalise(torch.from_numpy(crop[None]))[0].numpy()

    scale = max(1.0, float(np.abs(expected).max()))
    assert np.abs(found - expected).max() / scale <= RELATIVE


@pytest.mark.parametrize("level", range(0, 256, 15))
@pytest.mark.parametrize("normalise", [z_score, traced_z_score])
def test_flat_crop_becomes_exactly_zero(level: int, normalise: Normalise) -> None:
    found = normalise(torch.from_numpy(flat(level)[None]))

    assert torch.equal(found, torch.zeros(1, 3, SIZE, SIZE))


def test_every_crop_is_normalised_by_itself() -> None:
    pair = torch.from_numpy(np.stack([noise(), noise() // 4]))

    together = traced_z_score(pair)

    torch.testing.assert_close(together[1:], traced_z_score(pair[1:]), rtol=RELATIVE, atol=0)


class _TracedZScore(Exportable):
    output_names = ("image_of_unit_deviation",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return (traced_z_score(image),)


def test_graph_is_as_accurate_on_bright_crops_as_on_others() -> None:
    outputs = _TracedZScore.output_names
    traced = trace(_TracedZScore().eval(), size_px=SIZE, output_names=outputs)
    graph = bytes_from_graph(simplify(traced, outputs=outputs))
    bright = (noise() // 64 + 252)[None]

    found = run_graph(graph, bright, outputs)[outputs[0]]

    image = bright.astype(np.float64).transpose(0, 3, 1, 2)
    expected = (image - image.mean((2, 3), keepdims=True)) / image.std((2, 3), keepdims=True)
    assert np.abs(found - expected).max() <= GRAPH_RELATIVE * np.abs(expected).max()
