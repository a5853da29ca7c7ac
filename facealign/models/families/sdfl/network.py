"""SDFL as its authors define it, with the checkpoint's own names; every parity check's reference.

Source: Lin et al., IEEE TIP 2021 (SDFL), and SPEC section 4, which says where the authors' code
departs from the paper. Written from those two; no line is the authors'.
"""

from __future__ import annotations

from torch import Tensor, nn

from facealign.models.backbone import backbone_by_name, build_backbone
from facealign.models.families.sdfl.heads import head_by_name
from facealign.models.families.sdfl.hyperparameters import SdflHyperparameters

__all__ = ["Sdfl"]


class Sdfl(nn.Module):
    """A backbone, and a head on its last map."""

    def __init__(self, hyperparameters: SdflHyperparameters, pattern: Tensor | None) -> None:
        """Build an untrained network.

        Args:
            hyperparameters: Sizes, from `SdflHyperparameters.from_shapes`.
            pattern: ``(N, N)`` graph, 1 where there is an edge; None for a head without one.
        """
        super().__init__()
        self.hyperparameters = hyperparameters
        choice = hyperparameters.backbone
        channels = backbone_by_name(choice.name).channels(choice.sizes)
        self.backbone = build_backbone(choice)
        head = head_by_name(hyperparameters.head_name)
        self.predictor = head.build(channels[-1], hyperparameters.head, pattern)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the named points of an image.

        Args:
            image: ``(B, 3, H, W)`` float32 BGR, as `z_score` gives it.

        Returns:
            ``backbone``, the last map ``(B, C, H / 32, W / 32)``; the points of the head; and
            ``landmarks_px`` ``(B, N, 2)``, x and y in pixels of the crop.
        """
        maps = self.backbone(image)[-1]
        return {"backbone": maps, **self.predictor(maps)}
