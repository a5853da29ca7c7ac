"""HRNet with one heat map per landmark, with the checkpoint's own names.

Source: Sun et al., arXiv 1904.04514 (High-resolution representations for labeling pixels and
    regions), sec. 3; SPEC 5 and 3.4. Written from those; no line is the authors'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facealign.models.backbones.hrnet import HRNet, concatenate_branches
from facealign.models.blocks.heat_map_decode import PeakRule
from facealign.models.families.hrnet.hyperparameters import HrnetFacialHyperparameters

__all__ = ["PEAK_RULE", "HrnetFacial"]

PEAK_RULE = PeakRule(masks_nonpositive=True)
"""The authors' decode as a fraction of the crop.

They number cells from 1, add 0.5 and take 1 away before they go back to the frame, by a transform
that has the middle of the crop at half its side: cell a, from 0, is at ``(a + 0.5) / 64`` of the
crop. They then add 1, which numbers the pixels of the frame from 1; ours start at 0. A masked
landmark is at their 0, which is our -1.
"""


class HrnetFacial(HRNet):
    """HRNet and a head of two 1x1 convolutions over all its branches."""

    def __init__(self, hyperparameters: HrnetFacialHyperparameters) -> None:
        super().__init__(hyperparameters.backbone)
        self.hyperparameters = hyperparameters
        channels = hyperparameters.backbone.output_channels
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, hyperparameters.landmark_count, 1),
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:  # type: ignore[override]  # not branches
        """Return the heat maps, and the points on the way there.

        Args:
            image: ``(B, 3, H, W)`` float32, as `normalised_image` gives it.

        Returns:
            ``stage2``, ``stage3`` and ``stage4``, the finest branch of each, ``(B, C, H/4, W/4)``;
            ``heat_maps`` ``(B, N, H/4, W/4)``, any range.
        """
        return self.points_from_stem(self.conv1(image))

    def points_from_stem(self, stem: Tensor) -> dict[str, Tensor]:
        """Return what `forward` does, from the output of its first convolution."""
        maps = torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(stem)))))
        branches = [self.layer1(maps)]
        points = {}
        for number in range(1, len(self.hyperparameters.backbone.stages) + 1):
            branches = self._apply_transition(number, branches)
            for exchange in self.get_submodule(f"stage{number + 1}").children():
                branches = exchange(branches)
            points[f"stage{number + 1}"] = branches[0]
        points["heat_maps"] = self.head(concatenate_branches(branches))
        return points
