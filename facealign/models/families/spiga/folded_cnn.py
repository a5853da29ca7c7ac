"""SPIGA's convolutional half as it is traced; see `exportable` for what is rewritten and why."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.blocks.constant import constant
from facealign.models.families.spiga.backbone import Conv, CoordConv, EdgeToPoint, MultitaskCnn
from facealign.models.families.spiga.folding import scale_and_shift

__all__ = ["FoldedCnn", "FoldedLink", "FoldedStem", "folded_edge_to_point"]

_COLOURS = 3
_WHITE = 255


class FoldedCnn(nn.Module):
    """uint8 crops to the visual field and the core of the last hourglass."""

    def __init__(self, cnn: MultitaskCnn) -> None:
        super().__init__()
        self.stem = FoldedStem(cnn)
        self.hourglasses, self.heads, self.core = cnn.hgs, cnn.hgs_out, cnn.hgs_core[-1]
        self.links = nn.ModuleList(FoldedLink(cnn, stack) for stack in range(len(cnn.merge_preds)))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return field ``(B, C, M, M)`` and core ``(B, C)`` from ``(B, S, S, 3)`` uint8 BGR."""
        x = self.stem(image.to(torch.float32).permute(0, 3, 1, 2))
        for hourglass, head, link in zip(self.hourglasses, self.heads, self.links, strict=False):
            hidden, _ = hourglass(x)
            x = link(x, head(hidden))
        hidden, bottom = self.hourglasses[-1](x)
        return self.heads[-1](hidden), self.core(bottom).flatten(1)


class FoldedStem(nn.Module):
    """The stem for grey levels 0 to 255; what the coordinate channels add is a map of biases."""

    def __init__(self, cnn: MultitaskCnn) -> None:
        super().__init__()
        coordinates, first = cast("CoordConv", cnn.pre[0]), cast("Conv", cnn.pre[1])
        scale, shift = scale_and_shift(first.bn)
        weight = first.conv.weight.double() * scale.reshape(-1, 1, 1, 1)
        colours, others = weight[:, :_COLOURS] / _WHITE, weight[:, _COLOURS:]
        padding = first.conv.padding[0]
        self.conv = nn.Conv2d(
            _COLOURS, len(weight), weight.shape[-1], stride=2, padding=padding, bias=False
        )
        self.conv.weight = constant(colours)
        channels = coordinates.extra_channels().double()
        self.bias = constant(
            functional.conv2d(channels, others, shift, stride=2, padding=padding)
        )  # (1, first stem channels, S / 2, S / 2)
        self.rest = cnn.pre[2:]

    def forward(self, grey_levels: Tensor) -> Tensor:
        """Return what the first hourglass sees, ``(B, C, M, M)``, from ``(B, 3, S, S)`` BGR."""
        stem: Tensor = self.rest(torch.relu(self.conv(grey_levels) + self.bias))
        return stem


class FoldedLink(nn.Module):
    """What carries one stack's predictions to the next one."""

    def __init__(self, cnn: MultitaskCnn, stack: int) -> None:
        super().__init__()
        self.points, self.edges = cnn.outs_points[stack], cnn.outs_edges[stack]
        self.features = cnn.outs_features[stack]
        self.merge_predictions = cnn.merge_preds[stack]
        self.merge_features = cnn.merge_features[stack]
        self.edge_to_point = folded_edge_to_point(cnn.E2Ptransform)

    def forward(self, x: Tensor, field: Tensor) -> Tensor:
        """Return what the next hourglass sees, shaped as `x` and `field`."""
        # No probability is below 0. That bound makes a Clip of it, which ONNX Runtime fuses into
        # the convolution; for the other bound alone it is a Min, which is not.
        on_edge = torch.clamp(self.edge_to_point(self.edges(field)), 0, 1)
        predictions = self.features(field) * self.points(field) * on_edge
        updated: Tensor = x + self.merge_features(field) + self.merge_predictions(predictions)
        return updated


def folded_edge_to_point(transform: EdgeToPoint) -> nn.Conv2d:
    """Return the table as a 1x1 convolution; its last column, met by ones, is the bias."""
    table = transform.edge2point
    landmark_count, columns = table.shape
    conv = nn.Conv2d(columns - 1, landmark_count, 1)
    conv.weight = constant(table[:, :-1, None, None])
    conv.bias = constant(table[:, -1])
    return conv
