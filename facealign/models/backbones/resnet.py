"""ResNet of basic blocks, plain or with coordinates and instance normalisation in every block.

Source: He et al., CVPR 2016 (Deep residual learning), fig. 3 and 5 left; SPEC 4.9 for the form with
    CoordConv and IBN; attribute names are those of the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from facealign.models.backbone import Backbone, Shapes, count_indices
from facealign.models.blocks.coord_conv import CoordConv2d, folded_coord_conv
from facealign.models.blocks.fold_norm import fold_norm
from facealign.models.blocks.instance_batch_norm import InstanceBatchNorm2d
from facealign.models.blocks.layered_network import LAYER_NAMES, LayeredNetwork, is_classifier

__all__ = ["BACKBONE", "ResNet", "ResNetHyperparameters"]


@dataclass(frozen=True, slots=True)
class ResNetHyperparameters:
    """Everything about a ResNet that its state dict shows.

    Attributes:
        stem_channels: Of the first convolution.
        block_counts: Of `layer1` to `layer4`.
        channels: Of the same.
        has_coordinates: Whether every block has CoordConv and IBN for convolution and norm.
        class_count: Outputs of the classifier, which inference leaves out; 0 if it is not there.
    """

    stem_channels: int
    block_counts: tuple[int, ...]
    channels: tuple[int, ...]
    has_coordinates: bool
    class_count: int


class ResNet(LayeredNetwork):
    """Layers of basic blocks; map ``i`` has ``channels[i]`` channels."""

    def __init__(self, sizes: ResNetHyperparameters) -> None:
        stem = nn.Conv2d(3, sizes.stem_channels, 7, stride=2, padding=3, bias=False)
        before = (sizes.stem_channels, *sizes.channels)
        layers = [
            _layer(sizes, index, before[index], channels)
            for index, channels in enumerate(sizes.channels)
        ]
        super().__init__(stem, layers, stem_channels=sizes.stem_channels)
        if sizes.class_count:
            self.fc = nn.Linear(sizes.channels[-1], sizes.class_count)  # never called


def _layer(
    sizes: ResNetHyperparameters, index: int, in_channels: int, channels: int
) -> nn.Sequential:
    first = _BasicBlock(in_channels, channels, stride=min(index, 1) + 1, sizes=sizes)
    others = (
        _BasicBlock(channels, channels, stride=1, sizes=sizes)
        for _ in range(sizes.block_counts[index] - 1)
    )
    return nn.Sequential(first, *others)


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(
        self, in_channels: int, channels: int, *, stride: int, sizes: ResNetHyperparameters
    ) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, channels, stride=stride, sizes=sizes)
        self.bn1 = _norm(channels, sizes)
        self.relu = nn.ReLU()
        self.conv2 = _conv3x3(channels, channels, stride=1, sizes=sizes)
        self.bn2 = _norm(channels, sizes)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, maps: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(maps)))
        summed: Tensor = self.relu(self.bn2(self.conv2(out)) + self.downsample(maps))
        return summed


def _conv3x3(
    in_channels: int, channels: int, *, stride: int, sizes: ResNetHyperparameters
) -> nn.Module:
    if sizes.has_coordinates:
        return CoordConv2d(in_channels, channels, 3, stride=stride)
    return nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)


def _norm(channels: int, sizes: ResNetHyperparameters) -> nn.Module:
    return InstanceBatchNorm2d(channels) if sizes.has_coordinates else nn.BatchNorm2d(channels)


def _matches(shapes: Shapes) -> bool:
    # PreActResNet has `shortcut` for `downsample`; Res2Net and ResNet-50 have a third convolution.
    return "layer2.0.downsample.0.weight" in shapes and "layer2.0.conv3.weight" not in shapes


def _read_hyperparameters(shapes: Shapes) -> ResNetHyperparameters:
    has_coordinates = "layer1.0.conv1.conv.weight" in shapes
    conv = "conv1.conv.weight" if has_coordinates else "conv1.weight"
    return ResNetHyperparameters(
        stem_channels=shapes["conv1.weight"][0],
        block_counts=tuple(count_indices(shapes, f"{name}.{{}}.{conv}") for name in LAYER_NAMES),
        channels=tuple(shapes[f"{name}.0.{conv}"][0] for name in LAYER_NAMES),
        has_coordinates=has_coordinates,
        class_count=shapes["fc.weight"][0] if "fc.weight" in shapes else 0,
    )


def _describe(sizes: ResNetHyperparameters) -> str:
    depth = sum(sizes.block_counts) * 2 + 2  # with the stem and the classifier
    return f"ResNet-{depth}" + (" CoordConv IBN" if sizes.has_coordinates else "")


def _tiny() -> dict[str, ResNetHyperparameters]:
    def sizes(*, has_coordinates: bool) -> ResNetHyperparameters:
        return ResNetHyperparameters(
            stem_channels=4,
            block_counts=(1, 2, 1, 1),
            channels=(4, 6, 8, 10),
            has_coordinates=has_coordinates,
            class_count=3,
        )

    return {"plain": sizes(has_coordinates=False), "coordconv-ibn": sizes(has_coordinates=True)}


def _channels(sizes: ResNetHyperparameters) -> tuple[int, ...]:
    return sizes.channels


def _exportable(network: nn.Module, size_px: int) -> nn.Module:
    """Return a network without CoordConv; of the norms only what depends on the picture is left."""
    folded = folded_coord_conv(network, size_px=size_px)
    for block in folded.modules():
        if isinstance(block, _BasicBlock):
            fold_norm(block, "conv1", "bn1")
            fold_norm(block, "conv2", "bn2")
    return folded


BACKBONE = Backbone(
    name="resnet",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=ResNet,
    channels=_channels,
    tiny=_tiny,
    is_unused=is_classifier,
    exportable=_exportable,
)
