"""HRNet heat maps as they are traced: `network.HrnetFacial` rewritten for a faster graph.

Every rewrite is exact up to rounding, and the parity check holds the traced graph against the plain
network, so a wrong one cannot ship:

* Normalisation: scale and BGR order go into the first convolution. The mean stays a subtraction,
  because the convolution pads with zeros after it.
* Decoding is looked up in constant tables.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facealign.models.blocks.constant import constant
from facealign.models.blocks.heat_map_decode import HeatMapDecode
from facealign.models.blocks.imagenet import IMAGENET_MEAN_RGB, folded_stem
from facealign.models.families.hrnet.network import (
    PEAK_RULE,
    HrnetFacial,
)
from facealign.models.family import Exportable

__all__ = ["ExportableHrnetFacial"]

_STAGES = ("stage2", "stage3", "stage4")


class ExportableHrnetFacial(Exportable):
    """uint8 BGR crops in; landmarks and scores out, then the probes on the way."""

    def __init__(self, network: HrnetFacial) -> None:
        super().__init__()
        map_size = network.hyperparameters.map_size
        self.mean_bgr = constant(torch.tensor(IMAGENET_MEAN_RGB).flip(0) * 255)
        self.stem = folded_stem(network.conv1)
        self.network = network
        self.decode = HeatMapDecode(map_size, map_size, PEAK_RULE)
        self.output_names = ("landmarks", "score", *_STAGES, "heat_maps")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        centred = image.to(torch.float32) - self.mean_bgr
        points = self.network.points_from_stem(self.stem(centred.permute(0, 3, 1, 2)))
        landmarks, score = self.decode(points["heat_maps"])
        return (landmarks, score, *(points[name] for name in self.output_names[2:]))
