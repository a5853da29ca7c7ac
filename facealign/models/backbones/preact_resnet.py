"""ResNet with norm and ReLU before each convolution, plain and in four variations of SPEC 4.9.

Source: He et al., ECCV 2016 (Identity mappings), fig. 4e; Pan et al., ECCV 2018 (IBN); Liu et al.,
    NeurIPS 2018 (CoordConv); Zhang, ICML 2019 (BlurPool); SPEC 4.9 for how they are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from facealign.models.backbone import Backbone, Shapes, count_indices
from facealign.models.blocks.blur_pool import BlurPool2d
from facealign.models.blocks.coord_conv import CoordConv2d, folded_coord_conv
from facealign.models.blocks.fold_norm import fold_norm
from facealign.models.blocks.instance_batch_norm import InstanceBatchNorm2d
from facealign.models.blocks.layered_network import LAYER_NAMES, LayeredNetwork

__all__ = ["BACKBONE", "PreActLayer", "PreActResNet", "PreActResNetHyperparameters"]

_BOTTLENECK_EXPANSION = 4
_FULL_WIDTH = 64


@dataclass(frozen=True, slots=True)
class PreActLayer:
    """One of the four layers.

    Attributes:
        block_count: Blocks in it; the first has the shortcut with a convolution.
        channels: Of the 3x3 convolutions.
        has_instance_norm: Whether the first norm of each block is IBN.
        has_coordinates: Whether its convolutions are CoordConv; where the network is anti-aliased,
            only the first of each block and those behind a BlurPool are.
    """

    block_count: int
    channels: int
    has_instance_norm: bool
    has_coordinates: bool


@dataclass(frozen=True, slots=True)
class PreActResNetHyperparameters:
    """Everything about a PreActResNet that its state dict shows.

    The authors' `receptive_keep` gives `layer4` stride 1. No name or shape shows it, so this has
    not got it.

    Attributes:
        stem_channels: Of the first convolution.
        stem_has_coordinates: Whether that is a CoordConv.
        has_bottlenecks: Whether blocks are 1x1, 3x3, 1x1 instead of two 3x3.
        is_antialiased: Whether BlurPool halves the maps instead of strides.
        layers: The four layers.
    """

    stem_channels: int
    stem_has_coordinates: bool
    has_bottlenecks: bool
    is_antialiased: bool
    layers: tuple[PreActLayer, ...]

    @property
    def output_channels(self) -> tuple[int, ...]:
        """Channels of the output of each layer."""
        expansion = _BOTTLENECK_EXPANSION if self.has_bottlenecks else 1
        return tuple(layer.channels * expansion for layer in self.layers)


class PreActResNet(LayeredNetwork):
    """Layers whose output is a sum, with neither norm nor ReLU after it.

    Map ``i`` has ``output_channels[i]`` channels.
    """

    def __init__(self, sizes: PreActResNetHyperparameters) -> None:
        channels = sizes.stem_channels
        stem = _conv(3, channels, 7, stride=2, has_coordinates=sizes.stem_has_coordinates)
        before = (channels, *sizes.output_channels)
        layers = [_layer(sizes, index, before[index]) for index in range(len(sizes.layers))]
        super().__init__(stem, layers, stem_channels=channels)
        if sizes.is_antialiased:
            self.maxpool = nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool2d(channels))


def _layer(sizes: PreActResNetHyperparameters, index: int, in_channels: int) -> nn.Sequential:
    layer = sizes.layers[index]
    first = _block(sizes, layer, in_channels, min(index, 1) + 1)
    others = (
        _block(sizes, layer, sizes.output_channels[index], 1) for _ in range(layer.block_count - 1)
    )
    return nn.Sequential(first, *others)


def _block(
    sizes: PreActResNetHyperparameters, layer: PreActLayer, in_channels: int, stride: int
) -> nn.Module:
    if sizes.has_bottlenecks:
        return _PreActBottleneck(in_channels, layer, stride=stride)
    if sizes.is_antialiased:
        return _AntiAliasedBlock(in_channels, layer, stride=stride)
    return _PreActBlock(in_channels, layer, stride=stride)


class _PreActBlock(nn.Module):
    """Two 3x3 convolutions; a shortcut with a convolution takes the activated input."""

    def __init__(self, in_channels: int, layer: PreActLayer, *, stride: int) -> None:
        super().__init__()
        channels, coordinates = layer.channels, layer.has_coordinates
        self.bn1 = _first_norm(in_channels, layer)
        self.conv1 = _conv(in_channels, channels, 3, stride=stride, has_coordinates=coordinates)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3, has_coordinates=coordinates)
        self.relu = nn.ReLU()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                _conv(in_channels, channels, 1, stride=stride, has_coordinates=coordinates)
            )

    def forward(self, maps: Tensor) -> Tensor:
        activated = self.relu(self.bn1(maps))
        shortcut = self.shortcut(activated) if hasattr(self, "shortcut") else maps
        out = self.conv2(self.relu(self.bn2(self.conv1(activated))))
        summed: Tensor = out + shortcut
        return summed


class _AntiAliasedBlock(_PreActBlock):
    """The same, but the second convolution halves the map, and behind a BlurPool."""

    def __init__(self, in_channels: int, layer: PreActLayer, *, stride: int) -> None:
        super().__init__(in_channels, layer, stride=1)
        channels, coordinates = layer.channels, layer.has_coordinates
        self.conv2 = _conv(channels, channels, 3, has_coordinates=coordinates and stride != 1)
        if stride != 1:
            self.conv2 = nn.Sequential(BlurPool2d(channels), self.conv2)
            conv = _conv(in_channels, channels, 1, has_coordinates=coordinates)
            self.shortcut = nn.Sequential(BlurPool2d(in_channels), conv)


class _PreActBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 to four times the channels; the 3x3 has the stride."""

    def __init__(self, in_channels: int, layer: PreActLayer, *, stride: int) -> None:
        super().__init__()
        channels, coordinates = layer.channels, layer.has_coordinates
        out_channels = channels * _BOTTLENECK_EXPANSION
        self.bn1 = _first_norm(in_channels, layer)
        self.conv1 = _conv(in_channels, channels, 1, has_coordinates=coordinates)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = _conv(channels, channels, 3, stride=stride, has_coordinates=coordinates)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = _conv(channels, out_channels, 1, has_coordinates=coordinates)
        self.relu = nn.ReLU()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                _conv(in_channels, out_channels, 1, stride=stride, has_coordinates=coordinates)
            )

    def forward(self, maps: Tensor) -> Tensor:
        activated = self.relu(self.bn1(maps))
        shortcut = self.shortcut(activated) if hasattr(self, "shortcut") else maps
        out = self.conv2(self.relu(self.bn2(self.conv1(activated))))
        summed: Tensor = self.conv3(self.relu(self.bn3(out))) + shortcut
        return summed


def _first_norm(channels: int, layer: PreActLayer) -> nn.Module:
    return InstanceBatchNorm2d(channels) if layer.has_instance_norm else nn.BatchNorm2d(channels)


def _conv(
    in_channels: int,
    channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    has_coordinates: bool,
) -> nn.Module:
    if has_coordinates:
        return CoordConv2d(in_channels, channels, kernel_size, stride=stride)
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, channels, kernel_size, stride=stride, padding=padding, bias=False)


def _matches(shapes: Shapes) -> bool:
    return any(
        f"layer2.0.shortcut.{name}" in shapes
        for name in ("0.weight", "0.conv.weight", "1.conv.weight", "1.weight")
    )


def _read_hyperparameters(shapes: Shapes) -> PreActResNetHyperparameters:
    stem_has_coordinates = "conv1.conv.weight" in shapes
    stem = "conv1.conv.weight" if stem_has_coordinates else "conv1.weight"
    return PreActResNetHyperparameters(
        stem_channels=shapes[stem][0],
        stem_has_coordinates=stem_has_coordinates,
        has_bottlenecks=any(
            f"layer1.0.{conv}" in shapes for conv in ("conv3.weight", "conv3.conv.weight")
        ),
        is_antialiased="layer2.0.shortcut.0.filt" in shapes,
        layers=tuple(_layer_from_shapes(shapes, name) for name in LAYER_NAMES),
    )


def _layer_from_shapes(shapes: Shapes, layer: str) -> PreActLayer:
    has_coordinates = f"{layer}.0.conv1.conv.weight" in shapes
    conv = "conv1.conv.weight" if has_coordinates else "conv1.weight"
    return PreActLayer(
        block_count=count_indices(shapes, f"{layer}.{{}}.{conv}"),
        channels=shapes[f"{layer}.0.{conv}"][0],
        has_instance_norm=f"{layer}.0.bn1.IN.weight" in shapes,
        has_coordinates=has_coordinates,
    )


def _describe(sizes: PreActResNetHyperparameters) -> str:
    convs_per_block = 3 if sizes.has_bottlenecks else 2
    # With the stem, and the classifier that the paper's networks have.
    depth = sum(layer.block_count for layer in sizes.layers) * convs_per_block + 2
    words = [f"PreActResNet-{depth}"]
    if sizes.stem_channels * 2 == _FULL_WIDTH:
        words.append("light")
    if sizes.is_antialiased:
        words.append("anti-aliased")
    if any(layer.has_coordinates for layer in sizes.layers):
        words.append("CoordConv")
    if any(layer.has_instance_norm for layer in sizes.layers):
        words.append("IBN" if sizes.layers[-1].has_instance_norm else "IBN-a")
    return " ".join(words)


def _channels(sizes: PreActResNetHyperparameters) -> tuple[int, ...]:
    return sizes.output_channels


def _exportable(network: nn.Module, size_px: int) -> nn.Module:
    """Return a network without CoordConv, and without the norms behind one."""
    folded = folded_coord_conv(network, size_px=size_px)
    fold_norm(folded, "conv1", "bn1")
    for block in folded.modules():
        if isinstance(block, _PreActBlock | _PreActBottleneck):
            fold_norm(block, "conv1", "bn2")
            fold_norm(block, "conv2", "bn3")
    return folded


def _is_constant(key: str, _shape: Sequence[int]) -> bool:
    return key.endswith(".filt")


def _tiny() -> dict[str, PreActResNetHyperparameters]:
    everywhere, nowhere, not_last = (True,) * 4, (False,) * 4, (True, True, True, False)
    return {
        "plain": _tiny_sizes(nowhere, nowhere),
        "bottleneck": _tiny_sizes(nowhere, nowhere, has_bottlenecks=True),
        "ibn": _tiny_sizes(everywhere, nowhere),
        "ibn-a": _tiny_sizes(not_last, nowhere),
        "bottleneck-ibn-a": _tiny_sizes(not_last, nowhere, has_bottlenecks=True),
        "coordconv": _tiny_sizes(not_last, not_last, stem_has_coordinates=True),
        "antialiased": _tiny_sizes(not_last, everywhere, is_antialiased=True),
    }


def _tiny_sizes(
    instance_norms: Sequence[bool],
    coordinates: Sequence[bool],
    *,
    stem_has_coordinates: bool = False,
    has_bottlenecks: bool = False,
    is_antialiased: bool = False,
) -> PreActResNetHyperparameters:
    return PreActResNetHyperparameters(
        stem_channels=4,
        stem_has_coordinates=stem_has_coordinates,
        has_bottlenecks=has_bottlenecks,
        is_antialiased=is_antialiased,
        layers=tuple(
            PreActLayer(block_count, channels, has_instance_norm, has_coordinates)
            for block_count, channels, has_instance_norm, has_coordinates in zip(
                (1, 2, 1, 1), (4, 4, 6, 6), instance_norms, coordinates, strict=True
            )
        ),
    )


BACKBONE = Backbone(
    name="preact_resnet",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=PreActResNet,
    channels=_channels,
    tiny=_tiny,
    is_constant=_is_constant,
    exportable=_exportable,
)
