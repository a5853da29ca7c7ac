"""SDFL: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facealign.models.backbone import (
    BackboneChoice,
    Shapes,
    backbone_by_name,
    discover_backbones,
)
from facealign.models.families.sdfl.heads import HEADS, HeadSizes, head_by_name, head_in
from facealign.models.structure_coherency import backbone_from_shapes

__all__ = ["SdflHyperparameters"]

_STRIDE = 32  # of the backbone's last map


@dataclass(frozen=True, slots=True)
class SdflHyperparameters:
    """Everything that fixes an SDFL network but its weights and its graph.

    Attributes:
        backbone: Which one, and its sizes.
        head_name: Of one of `HEADS`.
        head: Its sizes, a dataclass of its own.
    """

    backbone: BackboneChoice
    head_name: str
    head: Any

    @property
    def sizes(self) -> HeadSizes:
        """What the sizes of every head know."""
        sizes: HeadSizes = self.head
        return sizes

    @property
    def crop_size_px(self) -> int:
        """Side of the crop; the backbone's last map has stride 32."""
        return _STRIDE * self.sizes.map_size

    @classmethod
    def from_shapes(cls, shapes: Shapes, _: Mapping[str, int]) -> SdflHyperparameters:
        """Return the hyper-parameters that a state dict shows; there are no settings.

        Args:
            shapes: State-dict key to tensor shape.

        Raises:
            KeyError: If a key is missing, or the backbone is unknown; the key is the argument.
            StateDictError: If shapes do not fit together.
        """
        choice = backbone_from_shapes(shapes)
        head = head_in(shapes)
        channels = backbone_by_name(choice.name).channels(choice.sizes)
        return cls(choice, head.name, head.read_sizes(shapes, channels[-1]))

    @classmethod
    def tiny(cls) -> dict[str, SdflHyperparameters]:
        """Return every head on a plain ResNet, and a learned graph on each backbone's last form."""
        plain = BackboneChoice("resnet", backbone_by_name("resnet").tiny()["plain"])
        last_forms = [
            (backbone.name, *list(backbone.tiny().items())[-1]) for backbone in discover_backbones()
        ]
        heads = {head.name: cls(plain, head.name, head.tiny()) for head in HEADS}
        learned = head_by_name("l-grl")
        return heads | {
            f"{learned.name}-{name}-{form}": cls(
                BackboneChoice(name, sizes), learned.name, learned.tiny()
            )
            for name, form, sizes in last_forms
        }
