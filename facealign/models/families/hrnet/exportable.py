"""HRNet heat maps as they are traced: `network.HrnetFacial` rewritten for a faster graph.

Every rewrite is exact up to rounding, and the parity check holds the traced graph against the plain
network, so a wrong one cannot ship:

* Normalisation: scale and BGR order go into the first convolution. The mean stays a subtraction,
  because the convolution pads with zeros after it.
* Branches whose channel count is no multiple of four get channels of zeros; see
  `blocks.aligned_channels`.
* Decoding is looked up in constant tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from facealign.models.blocks.aligned_channels import (
    aligned_count,
    aligned_hrnet_sizes,
    spread_input_channels,
    zero_padded,
)
from facealign.models.blocks.constant import constant
from facealign.models.blocks.heat_map_decode import HeatMapDecode
from facealign.models.blocks.imagenet import IMAGENET_MEAN_RGB, folded_stem
from facealign.models.families.hrnet.network import (
    PEAK_RULE,
    HrnetFacial,
)
from facealign.models.family import Exportable

__all__ = ["ExportableHrnetFacial", "points_as_traced"]

_HEAD = "head.0.weight"  # the one tensor whose channels are several branches
_STAGES = ("stage2", "stage3", "stage4")


class ExportableHrnetFacial(Exportable):
    """uint8 BGR crops in; landmarks and scores out, then the probes on the way."""

    def __init__(self, network: HrnetFacial) -> None:
        super().__init__()
        map_size = network.hyperparameters.map_size
        self.mean_bgr = constant(torch.tensor(IMAGENET_MEAN_RGB).flip(0) * 255)
        self.stem = folded_stem(network.conv1)
        self.network = _aligned(network)
        self.decode = HeatMapDecode(map_size, map_size, PEAK_RULE)
        self.output_names = ("landmarks", "score", *_STAGES, "heat_maps")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        centred = image.to(torch.float32) - self.mean_bgr
        points = self.network.points_from_stem(self.stem(centred.permute(0, 3, 1, 2)))
        landmarks, score = self.decode(points["heat_maps"])
        return (landmarks, score, *(points[name] for name in self.output_names[2:]))


def points_as_traced(points: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the points of the plain network with the channels of zeros that the traced one has."""
    traced = dict(points)
    for name in _STAGES:
        batch, channels, height, width = points[name].shape
        shape = (batch, aligned_count(channels), height, width)
        traced[name] = zero_padded(points[name], shape)
    return traced


def _aligned(network: HrnetFacial) -> HrnetFacial:
    """Return a network that computes the same with aligned branches."""
    sizes = network.hyperparameters
    aligned = HrnetFacial(replace(sizes, backbone=aligned_hrnet_sizes(sizes.backbone)))
    values = network.state_dict()
    values[_HEAD] = spread_input_channels(values[_HEAD], sizes.backbone.stages[-1].channels)
    shapes = {key: value.shape for key, value in aligned.state_dict().items()}
    aligned.load_state_dict({key: zero_padded(values[key], shapes[key]) for key in shapes})
    return aligned.eval().requires_grad_(requires_grad=False)
