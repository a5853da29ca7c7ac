"""PropNet from its paper; there is no code of its authors, so the names in a checkpoint are ours.

Four hourglasses in a row give heat maps of the landmarks. Between two of them a propagation module
draws the boundaries of the face from the landmarks, and from the boundaries an attention over the
features that the next hourglass receives.

A state dict has ``stem.``; per hourglass ``stacks.<i>.``; between hourglass i and the next
``propagations.<i>.``, ``merge_features.<i>.`` and ``merge_preds.<i>.``; and ``last_propagation.``,
the module behind the last hourglass, whose only output is a loss of the training. Inside a
propagation module, ``boundaries.<k>`` are the 7x7 convolutions.

Source: Huang et al., CVPRW 2020 (PropagationNet), sec. 3; SPEC 6.2 for what its Table 8 pins down,
    SPEC 6.3 for what was chosen where the paper is silent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facealign.models.blocks.blur_pool import BlurPool2d
from facealign.models.blocks.coord_conv import coordinate_maps
from facealign.models.blocks.heat_map_decode import PeakRule
from facealign.models.blocks.hierarchical_block import HierarchicalBlock, Hourglass
from facealign.models.families.propnet.hyperparameters import PropNetHyperparameters

__all__ = [
    "PEAK_RULE",
    "PropNet",
    "Propagation",
    "Stack",
    "Stem",
    "image_from_crops",
    "position_maps",
]

PEAK_RULE = PeakRule()
"""The paper names no convention; this is that of AWing, its parent, which has no mask (SPEC 6.4).

AWing numbers cells from 1, takes 0.5 away and multiplies by the stride: cell a, from 0, is at
``4 * (a + 0.5)`` crop pixels.
"""

_BOUNDARY_KERNEL = 7  # paper, sec. 3.2
_POSITION_COUNT = 3


def image_from_crops(crops: Tensor) -> Tensor:
    """Return ``(B, 3, H, W)`` float32 RGB, 0 to 1, from ``(B, H, W, 3)`` uint8 BGR."""
    return crops.flip(-1).permute(0, 3, 1, 2).to(torch.float32) / 255


def position_maps(height: int, width: int) -> Tensor:
    """Return ``(1, 3, H, W)`` float32: row and column from -1 to 1, then the radius from 0 to 1.

    Source: SPEC 6.4, as AWing has it; the paper does not say.
    """
    plane = coordinate_maps(height, width)
    radius = plane.square().sum(dim=1, keepdim=True).sqrt()
    return torch.cat([plane, radius / radius.max()], dim=1)


class PropNet(nn.Module):
    """Stacked hourglasses whose features are weighted by the boundaries of the face."""

    def __init__(self, hyperparameters: PropNetHyperparameters) -> None:
        super().__init__()
        self.hyperparameters = hyperparameters
        width, between = hyperparameters.width, hyperparameters.stack_count - 1
        self.stem = Stem(hyperparameters)
        self.stacks = nn.ModuleList(Stack(hyperparameters) for _ in range(between + 1))
        self.propagations = nn.ModuleList(Propagation(hyperparameters) for _ in range(between))
        self.merge_features = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(between))
        self.merge_preds = nn.ModuleList(
            nn.Conv2d(hyperparameters.landmark_count, width, 1) for _ in range(between)
        )
        self.last_propagation = Propagation(hyperparameters)

    def forward(self, image: Tensor, *, with_last_propagation: bool = False) -> dict[str, Tensor]:
        """Return the heat maps of every hourglass, and the points on the way there.

        Args:
            image: ``(B, 3, H, W)`` float32, as `image_from_crops` gives it.
            with_last_propagation: Whether to give ``boundaries`` of the last hourglass too, which
                only a training needs.

        Returns:
            ``stem`` ``(B, C, H/4, W/4)``; per hourglass i = 1, 2, ...: ``stack<i>.heat_maps``
            ``(B, N, H/4, W/4)``, not activated; between two, ``stack<i>.boundaries``
            ``(B, E, H/4, W/4)``, not activated, and ``stack<i>.gated`` ``(B, C, H/4, W/4)``.
        """
        maps = self.stem(image)
        points = {"stem": maps}
        features = heat_maps = maps
        for index, stack in enumerate(self.stacks):
            features, heat_maps = stack(maps)
            points[f"stack{index + 1}.heat_maps"] = heat_maps
            if index < len(self.propagations):
                boundaries, gated = self.propagations[index](heat_maps, features)
                points[f"stack{index + 1}.boundaries"] = boundaries
                points[f"stack{index + 1}.gated"] = gated
                merged = self.merge_features[index](gated) + self.merge_preds[index](heat_maps)
                maps = maps + merged
        if with_last_propagation:
            boundaries, _ = self.last_propagation(heat_maps, features)
            points[f"stack{len(self.stacks)}.boundaries"] = boundaries
        return points


class Stem(nn.Module):
    """From the image to features of a quarter of its size."""

    def __init__(self, hyperparameters: PropNetHyperparameters) -> None:
        super().__init__()
        first, second = hyperparameters.stem_channels
        self.conv = nn.Conv2d(3 + _POSITION_COUNT, first, 7, stride=2, padding=3)
        self.bn = nn.BatchNorm2d(first)
        self.block1 = HierarchicalBlock(first, second)
        self.pool = BlurPool2d(second)
        self.block2 = HierarchicalBlock(second, second)
        self.block3 = HierarchicalBlock(second, hyperparameters.width)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(B, C, H/4, W/4)`` from ``(B, 3, H, W)``."""
        maps = torch.relu(self.bn(self.conv(_with_positions(image))))
        features: Tensor = self.block3(self.block2(self.pool(self.block1(maps))))
        return features


class Stack(nn.Module):
    """One hourglass that knows where it is, and the heat maps drawn from its features."""

    def __init__(self, hyperparameters: PropNetHyperparameters) -> None:
        super().__init__()
        width = hyperparameters.width
        self.positions = nn.Conv2d(width + _POSITION_COUNT, width, 1)
        self.hourglass = Hourglass(width, hyperparameters.depth)
        self.block = HierarchicalBlock(width, width)
        self.conv = nn.Conv2d(width, width, 1)
        self.bn = nn.BatchNorm2d(width)
        self.heat_maps = nn.Conv2d(width, hyperparameters.landmark_count, 1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(B, C, H, W)`` and heat maps ``(B, N, H, W)``."""
        return self.from_positioned(self.positions(_with_positions(maps)))

    def from_positioned(self, positioned: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` does, from the output of its first convolution."""
        features = torch.relu(self.bn(self.conv(self.block(self.hourglass(positioned)))))
        return features, self.heat_maps(features)


class Propagation(nn.Module):
    """From landmarks to boundaries, and from boundaries to an attention over the features."""

    def __init__(self, hyperparameters: PropNetHyperparameters) -> None:
        super().__init__()
        width, boundary_count = hyperparameters.width, hyperparameters.boundary_count
        self.boundaries = _boundary_layers(hyperparameters)
        self.fuse = nn.Conv2d(boundary_count + width, width, 1)
        self.hourglass = Hourglass(width, hyperparameters.propagation_depth)

    def forward(self, heat_maps: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return boundaries ``(B, E, H, W)`` and weighted features ``(B, C, H, W)``."""
        boundaries = self.boundaries_from(heat_maps)
        fused = self.fuse(torch.cat([boundaries, features], dim=1))
        return boundaries, features * torch.sigmoid(self.hourglass(fused))

    def boundaries_from(self, heat_maps: Tensor) -> Tensor:
        """Return boundaries by 7x7 convolutions with a ReLU between two; the last is linear."""
        maps = heat_maps
        for index, layer in enumerate(self.boundaries):
            maps = layer(torch.relu(maps) if index else maps)
        return maps


def _boundary_layers(hyperparameters: PropNetHyperparameters) -> nn.ModuleList:
    count = hyperparameters.boundary_count
    in_channels = [hyperparameters.landmark_count]
    in_channels += [count] * (hyperparameters.boundary_layer_count - 1)
    return nn.ModuleList(
        nn.Conv2d(channels, count, _BOUNDARY_KERNEL, padding=_BOUNDARY_KERNEL // 2)
        for channels in in_channels
    )


def _with_positions(maps: Tensor) -> Tensor:
    """Return ``(B, C + 3, H, W)``: the maps, then row, column and radius."""
    batch, _, height, width = maps.shape
    positions = position_maps(height, width).to(maps).expand(batch, -1, -1, -1)
    return torch.cat([maps, positions], dim=1)
