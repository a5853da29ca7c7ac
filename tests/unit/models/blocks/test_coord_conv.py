"""CoordConv: what it appends, and that a map of biases takes its place exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models.blocks.coord_conv import (
    CoordConv2d,
    MappedConv2d,
    coordinate_maps,
    folded_coord_conv,
)

ABSOLUTE = 1e-5  # max measured 4.9e-7; of `scaled` 9.5e-7


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(3)


def test_coordinate_maps_give_the_row_first_from_minus_1_to_1() -> None:
    maps = coordinate_maps(3, 5)

    assert maps.shape == (1, 2, 3, 5)
    assert maps[0, 0, :, 2].tolist() == [-1, 0, 1]
    assert maps[0, 1, 1].tolist() == [-1, -0.5, 0, 0.5, 1]


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (1, 2), (7, 2)])
def test_coord_conv_is_the_sum_over_window_and_coordinates(kernel_size: int, stride: int) -> None:
    layer = CoordConv2d(3, 4, kernel_size, stride=stride)
    maps = torch.randn(2, 3, 8, 6)

    out = layer(maps)

    expected = convolved_with_coordinates(maps, layer.conv.weight, stride)
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=ABSOLUTE)


def convolved_with_coordinates(maps: Tensor, weight: Tensor, stride: int) -> NDArray[np.float64]:
    """Return the convolution by its definition, with zeros around picture and coordinates alike."""
    batch, channels, height, width = maps.shape
    rows, columns = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    size = weight.shape[-1]
    half = size // 2
    padded = np.zeros((batch, channels + 2, height + 2 * half, width + 2 * half))
    inner = padded[:, :, half : half + height, half : half + width]
    inner[:, :channels], inner[:, -2], inner[:, -1] = maps.numpy(), rows, columns
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    result: NDArray[np.float64] = np.einsum(
        "bchwyx,ocyx->bohw", windows[:, :, ::stride, ::stride], weight.detach().double().numpy()
    )
    return result


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (1, 2), (7, 2)])
def test_folded_coord_conv_gives_the_same_up_to_the_border(kernel_size: int, stride: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3, stride=2, padding=1), CoordConv2d(3, 4, kernel_size, stride=stride)
    )
    image = torch.randn(2, 3, 24, 24)

    folded = folded_coord_conv(network, size_px=24)

    assert isinstance(folded.get_submodule("1"), MappedConv2d)
    torch.testing.assert_close(folded(image), network(image), rtol=0, atol=ABSOLUTE)


def test_folded_coord_conv_leaves_the_network_as_it_was() -> None:
    network = nn.Sequential(CoordConv2d(3, 4, 3), nn.BatchNorm2d(4))
    before = {key: value.clone() for key, value in network.state_dict().items()}

    folded_coord_conv(network, size_px=16)

    assert isinstance(network[0], CoordConv2d)
    assert network.training
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_mapped_conv_scaled_is_the_norm_behind_it() -> None:
    layer = MappedConv2d(torch.randn(4, 3, 3, 3), torch.randn(1, 4, 6, 6), stride=1, padding=1)
    scale, shift = torch.randn(4), torch.randn(4)
    maps = torch.randn(2, 3, 6, 6)

    scaled = layer.scaled(scale, shift)

    expected = layer(maps) * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)
    torch.testing.assert_close(scaled(maps), expected, rtol=0, atol=ABSOLUTE)
