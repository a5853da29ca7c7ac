"""SPIGA's convolutional half, with the checkpoint's own names: stem, hourglasses, pose branch.

Source: Prados-Torreblanca et al., BMVC 2022 (SPIGA), and SPEC 2.4, which says where the authors'
code departs from the paper. Written from those two; no line is the authors'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from facealign.models.families.spiga.edges import edge_table
from facealign.models.families.spiga.hyperparameters import SpigaHyperparameters

__all__ = [
    "Conv",
    "CoordConv",
    "Deconv",
    "EdgeToPoint",
    "Hourglass",
    "MultitaskCnn",
    "Residual",
    "VisualFeatures",
]

_RADIUS_CENTRE = 0.5  # of coordinates from -1 to 1: so the authors have it (SPEC 2.4)


class Conv(nn.Sequential):
    """Convolution without bias; then, if asked for, BatchNorm and ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        plain: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=False
        )
        if not plain:
            self.bn = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU()


class Deconv(nn.Sequential):
    """Transposed convolution to twice the size, BatchNorm and ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()


class Residual(nn.Module):
    """Bottleneck block that normalises before each convolution.

    `skip_layer` is in every checkpoint, but only called where the numbers of channels differ.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = Conv(inputs, middle, plain=True)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = Conv(middle, middle, 3, plain=True)
        self.bn3 = nn.BatchNorm2d(middle)
        self.conv3 = Conv(middle, outputs, plain=True)
        self.skip_layer = Conv(inputs, outputs, plain=True)
        self.needs_skip_layer = inputs != outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, outputs, H, W)`` from ``(B, inputs, H, W)``."""
        skip = self.skip_layer(x) if self.needs_skip_layer else x
        hidden = self.conv1(torch.relu(self.bn1(x)))
        hidden = self.conv2(torch.relu(self.bn2(hidden)))
        updated: Tensor = skip + self.conv3(torch.relu(self.bn3(hidden)))
        return updated


class CoordConv(nn.Module):
    """Appends two coordinates and a radius to the colours."""

    xx_channel: Tensor
    yy_channel: Tensor

    def __init__(self, size_px: int) -> None:
        super().__init__()
        line = torch.arange(size_px, dtype=torch.float32) / (size_px - 1) * 2 - 1
        rows = line.reshape(1, 1, size_px, 1).repeat(1, 1, 1, size_px)
        self.register_buffer("xx_channel", rows)
        self.register_buffer("yy_channel", rows.transpose(2, 3).contiguous())

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, 6, S, S)`` from ``(B, 3, S, S)``."""
        extra = self.extra_channels().expand(image.shape[0], -1, -1, -1)
        return torch.cat([image, extra], dim=1)

    def extra_channels(self) -> Tensor:
        """Return ``(1, 3, S, S)``: along rows, along columns, and the radius."""
        x, y = self.xx_channel, self.yy_channel
        radius = torch.sqrt((x - _RADIUS_CENTRE) ** 2 + (y - _RADIUS_CENTRE) ** 2)
        return torch.cat([x, y, radius], dim=1)


class Hourglass(nn.Module):
    """One level of an hourglass; the next one lies in `low2`, a residual block at the bottom."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.up1 = Residual(channels, channels)
        self.pool1 = Conv(channels, channels, 2, stride=2)
        self.low1 = Residual(channels, channels)
        self.low2: Hourglass | Residual = (
            Hourglass(channels, depth - 1) if depth > 1 else Residual(channels, channels)
        )
        self.low3 = Residual(channels, channels)
        self.up2 = Deconv(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map, shaped as `x`, and what the bottom gave, ``(B, C, 4, 4)``."""
        skip = self.up1(x)
        low = self.low1(self.pool1(x))
        if isinstance(self.low2, Hourglass):
            low, bottom = self.low2(low)
        else:
            low = bottom = self.low2(low)
        return skip + self.up2(self.low3(low)), bottom


class EdgeToPoint(nn.Module):
    """From how probable the edges are to how probable the landmarks on them are."""

    ones: Tensor
    edge2point: Tensor

    def __init__(self, hyperparameters: SpigaHyperparameters) -> None:
        super().__init__()
        size = hyperparameters.map_size
        self.register_buffer("ones", torch.ones(1, size, size))
        table = edge_table(hyperparameters.landmark_count, hyperparameters.edge_count)
        self.register_buffer("edge2point", table)

    def forward(self, edges: Tensor) -> Tensor:
        """Return ``(B, N, H, W)``, at most 1, from ``(B, E, H, W)``."""
        ones = self.ones.expand(edges.shape[0], 1, -1, -1)
        by_cell = torch.cat([edges, ones], dim=1).permute(0, 2, 3, 1).unsqueeze(3)
        points = torch.matmul(by_cell, self.edge2point.T).squeeze(3).permute(0, 3, 1, 2)
        return torch.where(points > 1, torch.ones_like(points), points)


@dataclass(frozen=True, slots=True)
class VisualFeatures:
    """What the convolutional half gives.

    Attributes:
        stem: ``(B, C, M, M)``, what the first hourglass sees.
        fields: ``(B, C, M, M)`` per stack; the cascade reads the last.
        cores: ``(B, C)`` per stack; the pose comes from the last.
        points: ``(B, N, M, M)`` per stack but the last, 0 to 1.
        edges: ``(B, E, M, M)`` per stack but the last, 0 to 1.
    """

    stem: Tensor
    fields: tuple[Tensor, ...]
    cores: tuple[Tensor, ...]
    points: tuple[Tensor, ...]
    edges: tuple[Tensor, ...]


class MultitaskCnn(nn.Module):
    """Stacked hourglasses that were trained on landmarks, edges and pose."""

    def __init__(self, hyperparameters: SpigaHyperparameters) -> None:
        super().__init__()
        sizes = hyperparameters
        c, stacks = sizes.channels, range(sizes.stack_count)
        between = stacks[:-1]
        self.pre = _stem(sizes)
        self.hgs = nn.ModuleList(Hourglass(c, sizes.depth) for _ in stacks)
        self.hgs_out = nn.ModuleList(nn.Sequential(Residual(c, c), Conv(c, c)) for _ in stacks)
        self.hgs_core = nn.ModuleList(_core(c) for _ in stacks)
        self.outs_points = nn.ModuleList(_probability(c, sizes.landmark_count) for _ in between)
        self.outs_edges = nn.ModuleList(_probability(c, sizes.edge_count) for _ in between)
        self.E2Ptransform = EdgeToPoint(sizes)
        self.outs_features = _projections(c, sizes.landmark_count, len(between))
        self.merge_preds = _projections(sizes.landmark_count, c, len(between))
        self.merge_features = _projections(c, c, len(between))

    def forward(self, image: Tensor) -> VisualFeatures:
        """Return every feature from ``(B, 3, S, S)`` float32 BGR, 0 to 1."""
        stem = x = self.pre(image)
        fields, cores, points, edges = [], [], [], []
        for stack, (hourglass, head, core) in enumerate(self.stacks()):
            hidden, bottom = hourglass(x)
            fields.append(head(hidden))
            cores.append(core(bottom).flatten(1))
            if stack < len(self.merge_preds):
                points.append(self.outs_points[stack](fields[-1]))
                edges.append(self.outs_edges[stack](fields[-1]))
                maps = self.outs_features[stack](fields[-1])
                predictions = maps * points[-1] * self.E2Ptransform(edges[-1])
                x = x + self.merge_preds[stack](predictions)
                x = x + self.merge_features[stack](fields[-1])
        return VisualFeatures(stem, tuple(fields), tuple(cores), tuple(points), tuple(edges))

    def stacks(self) -> Iterator[tuple[Hourglass, nn.Module, nn.Module]]:
        """Yield the hourglass, its output block and its pose branch, in order."""
        for hourglass, head, core in zip(self.hgs, self.hgs_out, self.hgs_core, strict=True):
            yield cast("Hourglass", hourglass), head, core


def _stem(sizes: SpigaHyperparameters) -> nn.Sequential:
    first, second, third = sizes.stem_channels
    return nn.Sequential(
        CoordConv(sizes.crop_size_px),
        Conv(6, first, 7, stride=2),
        Residual(first, second),
        Conv(second, second, 2, stride=2),
        Residual(second, second),
        Residual(second, third),
    )


def _core(channels: int) -> nn.Sequential:
    """Return the pose branch, from the 4 x 4 bottom of an hourglass to one cell."""
    return nn.Sequential(
        Residual(channels, channels),
        Conv(channels, channels, 2, stride=2),
        Residual(channels, channels),
        Conv(channels, channels, 2, stride=2),
    )


def _probability(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(Conv(inputs, outputs, plain=True), nn.Sigmoid())


def _projections(inputs: int, outputs: int, number: int) -> nn.ModuleList:
    return nn.ModuleList(Conv(inputs, outputs, plain=True) for _ in range(number))
