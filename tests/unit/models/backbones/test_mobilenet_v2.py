"""MobileNetV2: blocks from shapes, strides from what kind of blocks they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from facealign.models.backbone import shapes_under
from facealign.models.backbones.mobilenet_v2 import (
    BACKBONE,
    MobileNetBlock,
    MobileNetV2,
    MobileNetV2Hyperparameters,
)
from tests.unit.models.networks import published_shapes, shapes_of

ABSOLUTE = 1e-5  # measured 0: the same operators in the same order


def authors_shapes(letter: str) -> dict[str, tuple[int, ...]]:
    shapes = published_shapes(f"sdfl_mobilenet{letter}_lgrl")
    return {key: tuple(shape) for key, shape in shapes_under(shapes, "backbone.").items()}


@pytest.mark.parametrize(
    ("letter", "strides"),
    [
        ("A", [[1, 2, 1, 2, 1, 1], [2, 1, 1, 1], [1, 1, 1], [2, 1, 1], [1]]),
        ("B", [[2, 1], [1, 1, 1, 1], [2, 1, 1], [2, 1, 1], [2]]),
        ("C", [[2, 1], [1, 1, 1, 1], [2, 1, 1], [2, 1, 1], [2]]),
    ],
)
def test_mobilenet_strides_follow_from_its_blocks(letter: str, strides: list[list[int]]) -> None:
    sizes = BACKBONE.read_hyperparameters(authors_shapes(letter))

    assert [[block.stride for block in layer] for layer in sizes.layers] == strides


def test_mobilenet_reads_a_first_block_without_expansion() -> None:
    sizes = BACKBONE.read_hyperparameters(authors_shapes("A"))

    assert sizes.layers[0][:2] == (MobileNetBlock(32, 16, 1), MobileNetBlock(96, 24, 2))


def test_mobilenet_refuses_blocks_whose_strides_it_cannot_know() -> None:
    layer = (MobileNetBlock(8, 4, 1), MobileNetBlock(8, 5, 1))
    others = tuple((MobileNetBlock(8, 4 + index, 1),) for index in range(4))
    network = MobileNetV2(MobileNetV2Hyperparameters(4, (layer, *others)))
    shapes = shapes_of(network)

    with pytest.raises(KeyError, match="blocks as in MobileNet A, B or C"):
        BACKBONE.read_hyperparameters(shapes)


def test_mobilenet_block_adds_its_input_and_clips_at_6() -> None:
    torch.manual_seed(4)
    network = BACKBONE.build(BACKBONE.tiny()["own"]).eval()
    block = network.get_submodule("layer0.1")
    maps = torch.randn(1, 4, 6, 6) * 20

    with torch.no_grad():
        out = block(maps)

    state = block.state_dict()
    hidden = relu6_norm(functional.conv2d(maps, state["conv.0.0.weight"]))
    weight = state["conv.1.0.weight"]
    hidden = relu6_norm(functional.conv2d(hidden, weight, padding=1, groups=weight.shape[0]))
    expected = maps + norm(functional.conv2d(hidden, state["conv.2.weight"]))
    torch.testing.assert_close(out, expected, rtol=0, atol=ABSOLUTE)


def norm(maps: torch.Tensor) -> torch.Tensor:
    """Return what an untrained BatchNorm2d gives."""
    return maps / math.sqrt(1 + 1e-5)


def relu6_norm(maps: torch.Tensor) -> torch.Tensor:
    return norm(maps).clamp(0, 6)
