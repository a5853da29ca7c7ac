"""SDFL as it is traced: the same function as `network.Sdfl`, rewritten for a small, fast graph.

`traced_z_score` normalises without a comparison. The backbone brings its own rewrites.
`folded_graph` says what happens to the graph convolutions. The last layer of every head gives
fractions of the crop instead of its pixels.
"""

from __future__ import annotations

from torch import Tensor

from facealign.models.backbone import backbone_by_name
from facealign.models.blocks.normalisation import traced_z_score
from facealign.models.families.sdfl.heads import head_by_name
from facealign.models.families.sdfl.network import Sdfl
from facealign.models.family import Exportable

__all__ = ["ExportableSdfl"]


class ExportableSdfl(Exportable):
    """uint8 BGR crops in; landmarks out, then the probes on the way."""

    def __init__(self, network: Sdfl) -> None:
        super().__init__()
        sizes = network.hyperparameters
        backbone = backbone_by_name(sizes.backbone.name)
        self.backbone = backbone.exportable(network.backbone, sizes.crop_size_px)
        head = head_by_name(sizes.head_name)
        self.head = head.fold(network.predictor, 1 / sizes.crop_size_px)
        self.output_names = ("landmarks", "backbone", *self.head.probe_names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that `output_names` lists, from ``(B, H, W, 3)`` uint8 BGR crops."""
        maps = self.backbone(traced_z_score(image))[-1]
        landmarks, *probes = self.head(maps)
        return (landmarks, maps, *probes)
