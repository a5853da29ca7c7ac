"""Res2Net: bottleneck blocks whose 3x3 convolution works on parts of the channels, in steps.

Source: Gao et al., TPAMI 2019 (Res2Net), sec. 3.1 and fig. 2b. The SDFL paper names it in table I
    and publishes no code of it, so this is written from the paper. Two things the paper leaves open
    follow the checkpoints of its authors that others have published: the part without a convolution
    is the last, not the first, which is the same but for the order of the channels; and the first
    block of a layer takes every part by itself and pools the one without a convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facealign.models.backbone import Backbone, Shapes, count_indices
from facealign.models.blocks.layered_network import LAYER_NAMES, LayeredNetwork, is_classifier

__all__ = ["BACKBONE", "Res2Net", "Res2NetHyperparameters"]


@dataclass(frozen=True, slots=True)
class Res2NetHyperparameters:
    """Everything about a Res2Net that its state dict shows.

    Attributes:
        stem_channels: Of the first convolution.
        block_counts: Of `layer1` to `layer4`.
        part_channels: Of each part of the split map, by layer; the paper's width w.
        channels: That go out, by layer.
        part_count: Parts of the split map; the paper's scale s.
        class_count: Outputs of the classifier, which inference leaves out; 0 if it is not there.
    """

    stem_channels: int
    block_counts: tuple[int, ...]
    part_channels: tuple[int, ...]
    channels: tuple[int, ...]
    part_count: int
    class_count: int


class Res2Net(LayeredNetwork):
    """Layers of bottlenecks; map ``i`` has ``channels[i]`` channels."""

    def __init__(self, sizes: Res2NetHyperparameters) -> None:
        stem = nn.Conv2d(3, sizes.stem_channels, 7, stride=2, padding=3, bias=False)
        before = (sizes.stem_channels, *sizes.channels)
        layers = [_layer(sizes, index, before[index]) for index in range(len(sizes.channels))]
        super().__init__(stem, layers, stem_channels=sizes.stem_channels)
        if sizes.class_count:
            self.fc = nn.Linear(sizes.channels[-1], sizes.class_count)  # never called


def _layer(sizes: Res2NetHyperparameters, index: int, in_channels: int) -> nn.Sequential:
    first = _Block(sizes, index, in_channels, stride=min(index, 1) + 1, is_first=True)
    others = (
        _Block(sizes, index, sizes.channels[index], stride=1, is_first=False)
        for _ in range(sizes.block_counts[index] - 1)
    )
    return nn.Sequential(first, *others)


class _Block(nn.Module):
    """1x1, then a 3x3 for each part but the last, then 1x1; with a shortcut."""

    def __init__(
        self,
        sizes: Res2NetHyperparameters,
        index: int,
        in_channels: int,
        *,
        stride: int,
        is_first: bool,
    ) -> None:
        super().__init__()
        part, channels = sizes.part_channels[index], sizes.channels[index]
        conv_count = sizes.part_count - 1
        self.conv1 = nn.Conv2d(in_channels, part * sizes.part_count, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(part * sizes.part_count)
        self.convs = nn.ModuleList(
            nn.Conv2d(part, part, 3, stride=stride, padding=1, bias=False)
            for _ in range(conv_count)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(part) for _ in range(conv_count))
        self.conv3 = nn.Conv2d(part * sizes.part_count, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.is_first = is_first
        self.pool: nn.Module = nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if is_first:
            self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, maps: Tensor) -> Tensor:
        *parts, last = self.relu(self.bn1(self.conv1(maps))).chunk(len(self.convs) + 1, dim=1)
        outputs: list[Tensor] = []
        for conv, norm, part in zip(self.convs, self.bns, parts, strict=True):
            steps = part if self.is_first or not outputs else part + outputs[-1]
            outputs.append(self.relu(norm(conv(steps))))
        out = self.bn3(self.conv3(torch.cat([*outputs, self.pool(last)], dim=1)))
        summed: Tensor = self.relu(out + self.downsample(maps))
        return summed


def _matches(shapes: Shapes) -> bool:
    return "layer1.0.convs.0.weight" in shapes and "layer1.0.downsample.0.weight" in shapes


def _read_hyperparameters(shapes: Shapes) -> Res2NetHyperparameters:
    return Res2NetHyperparameters(
        stem_channels=shapes["conv1.weight"][0],
        block_counts=tuple(
            count_indices(shapes, f"{name}.{{}}.conv1.weight") for name in LAYER_NAMES
        ),
        part_channels=tuple(shapes[f"{name}.0.convs.0.weight"][0] for name in LAYER_NAMES),
        channels=tuple(shapes[f"{name}.0.conv3.weight"][0] for name in LAYER_NAMES),
        part_count=count_indices(shapes, "layer1.0.convs.{}.weight") + 1,
        class_count=shapes["fc.weight"][0] if "fc.weight" in shapes else 0,
    )


def _describe(sizes: Res2NetHyperparameters) -> str:
    depth = sum(sizes.block_counts) * 3 + 2  # with the stem and the classifier
    return f"Res2Net-{depth} {sizes.part_channels[0]}w x {sizes.part_count}s"


def _channels(sizes: Res2NetHyperparameters) -> tuple[int, ...]:
    return sizes.channels


def _tiny() -> dict[str, Res2NetHyperparameters]:
    return {
        "bottleneck": Res2NetHyperparameters(
            stem_channels=4,
            block_counts=(2, 2, 1, 1),
            part_channels=(2, 3, 3, 4),
            channels=(6, 8, 8, 10),
            part_count=4,
            class_count=3,
        )
    }


BACKBONE = Backbone(
    name="res2net",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=Res2Net,
    channels=_channels,
    tiny=_tiny,
    is_unused=is_classifier,
    written_from="the paper",
)
