"""MobileNetV2 without its last convolution, in the three sizes of SPEC 4.9.

Source: Sandler et al., CVPR 2018 (MobileNetV2), sec. 3.4 and table 2; SPEC 4.9; attribute names are
    those of the published checkpoints.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from facealign.models.backbone import Backbone, Shapes, count_indices

__all__ = ["BACKBONE", "MobileNetBlock", "MobileNetV2", "MobileNetV2Hyperparameters"]

_LAYER_COUNT = 5
# No shape shows a stride. One number per run of blocks of equal width within a layer.
_STRIDES_BY_RUN_COUNT = {
    # B gives the maps of the authors' code with these; C, for which there are none to compare with,
    # has the same blocks at half the width.
    5: (2, 1, 2, 2, 2),
    # A has the blocks of the paper's table 2, so it is taken to have its strides. Only that they
    # halve the map five times is known.
    7: (1, 2, 2, 2, 1, 2, 1),
}
_LETTERS = {320: "A", 512: "B", 256: "C"}


@dataclass(frozen=True, slots=True)
class MobileNetBlock:
    """One inverted residual block.

    Attributes:
        hidden_channels: Of the depthwise convolution; those that come in if nothing expands them.
        channels: That go out.
        stride: Of the depthwise convolution.
    """

    hidden_channels: int
    channels: int
    stride: int


@dataclass(frozen=True, slots=True)
class MobileNetV2Hyperparameters:
    """The first convolution's channels and every block, by layer."""

    stem_channels: int
    layers: tuple[tuple[MobileNetBlock, ...], ...]


class MobileNetV2(nn.Module):
    """A strided convolution, then five layers of inverted residual blocks."""

    def __init__(self, sizes: MobileNetV2Hyperparameters) -> None:
        super().__init__()
        self.conv_bn_relu1 = _conv_bn_relu(3, sizes.stem_channels, kernel_size=3, stride=2)
        in_channels = sizes.stem_channels
        for index, layer in enumerate(sizes.layers):
            blocks = []
            for block in layer:
                blocks.append(_InvertedResidual(in_channels, block))
                in_channels = block.channels
            self.add_module(f"layer{index}", nn.Sequential(*blocks))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of all layers but the first, from ``(B, 3, H, W)`` images.

        The last is ``(B, C, H / 32, W / 32)``. The others have strides 4, 8 and 16 in B and C, and
        16, 16 and 32 in A.
        """
        maps = self.conv_bn_relu1(image)
        outputs = []
        for index in range(_LAYER_COUNT):
            maps = self.get_submodule(f"layer{index}")(maps)
            outputs.append(maps)
        return tuple(outputs[1:])


class _InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1 without activation."""

    def __init__(self, in_channels: int, block: MobileNetBlock) -> None:
        super().__init__()
        hidden = block.hidden_channels
        layers: list[nn.Module] = []
        if hidden != in_channels:
            layers.append(_conv_bn_relu(in_channels, hidden, kernel_size=1))
        layers += [
            _conv_bn_relu(hidden, hidden, kernel_size=3, stride=block.stride, groups=hidden),
            nn.Conv2d(hidden, block.channels, 1, bias=False),
            nn.BatchNorm2d(block.channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.has_shortcut = block.stride == 1 and in_channels == block.channels

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = self.conv(maps)
        return maps + out if self.has_shortcut else out


def _conv_bn_relu(
    in_channels: int, channels: int, *, kernel_size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    )


def _matches(shapes: Shapes) -> bool:
    return "conv_bn_relu1.0.weight" in shapes and "layer0.0.conv.0.0.weight" in shapes


def _read_hyperparameters(shapes: Shapes) -> MobileNetV2Hyperparameters:
    widths = [_layer_widths(shapes, f"layer{index}") for index in range(_LAYER_COUNT)]
    runs = [
        (index, list(run))
        for index, layer in enumerate(widths)
        for _, run in itertools.groupby(
            layer, key=lambda hidden_and_channels: hidden_and_channels[1]
        )
    ]
    if len(runs) not in _STRIDES_BY_RUN_COUNT:
        raise KeyError("layer0.*, blocks as in MobileNet A, B or C")
    layers: list[tuple[MobileNetBlock, ...]] = [()] * _LAYER_COUNT
    for (index, run), stride in zip(runs, _STRIDES_BY_RUN_COUNT[len(runs)], strict=True):
        first, *others = run
        layers[index] += (
            MobileNetBlock(*first, stride=stride),
            *(MobileNetBlock(*other, stride=1) for other in others),
        )
    return MobileNetV2Hyperparameters(shapes["conv_bn_relu1.0.weight"][0], tuple(layers))


def _layer_widths(shapes: Shapes, layer: str) -> list[tuple[int, int]]:
    """Return the hidden and the outgoing channels of each block."""
    widths = []
    for number in range(count_indices(shapes, f"{layer}.{{}}.conv.0.0.weight")):
        conv = f"{layer}.{number}.conv"
        project = f"{conv}.2.weight" if f"{conv}.3.weight" in shapes else f"{conv}.1.weight"
        channels, hidden = shapes[project][:2]
        widths.append((hidden, channels))
    return widths


def _describe(sizes: MobileNetV2Hyperparameters) -> str:
    channels = sizes.layers[-1][-1].channels
    return f"MobileNetV2-{_LETTERS.get(channels, channels)}"


def _channels(sizes: MobileNetV2Hyperparameters) -> tuple[int, ...]:
    return tuple(layer[-1].channels for layer in sizes.layers[1:])


def _tiny() -> dict[str, MobileNetV2Hyperparameters]:
    def layer(*blocks: tuple[int, int, int]) -> tuple[MobileNetBlock, ...]:
        return tuple(MobileNetBlock(*block) for block in blocks)

    paper = (
        layer((4, 3, 1), (6, 4, 2), (8, 4, 1), (8, 5, 2)),
        layer((10, 6, 2), (12, 6, 1)),
        layer((12, 7, 1)),
        layer((14, 8, 2)),
        layer((16, 9, 1)),
    )
    own = (
        layer((8, 4, 2), (8, 4, 1)),
        layer((8, 6, 1)),
        layer((12, 6, 2)),
        layer((12, 8, 2)),
        layer((16, 9, 2)),
    )
    return {
        "paper": MobileNetV2Hyperparameters(stem_channels=4, layers=paper),
        "own": MobileNetV2Hyperparameters(stem_channels=4, layers=own),
    }


BACKBONE = Backbone(
    name="mobilenet_v2",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=MobileNetV2,
    channels=_channels,
    tiny=_tiny,
)
