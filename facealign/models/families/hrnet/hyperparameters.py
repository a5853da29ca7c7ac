"""HRNet heat maps: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facealign.models.backbones.hrnet import HRNetHyperparameters, HRNetStage, hrnet_from_shapes

__all__ = ["HrnetFacialHyperparameters"]

_STRIDE = 4  # of the heat maps


@dataclass(frozen=True, slots=True)
class HrnetFacialHyperparameters:
    """Everything that fixes the network but its weights; no tensor shows the size of the crop."""

    landmark_count: int
    backbone: HRNetHyperparameters
    crop_size_px: int = 256

    @property
    def map_size(self) -> int:
        """Side of a heat map, in cells."""
        return self.crop_size_px // _STRIDE

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], _: Mapping[str, int]
    ) -> HrnetFacialHyperparameters:
        """Return the hyper-parameters that a state dict shows.

        Args:
            shapes: State-dict key to tensor shape.
            _: Settings; there are none.

        Raises:
            KeyError: If a key that every such checkpoint has is missing; the key is the argument.
        """
        return cls(landmark_count=shapes["head.3.weight"][0], backbone=hrnet_from_shapes(shapes))

    @classmethod
    def tiny(cls) -> dict[str, HrnetFacialHyperparameters]:
        """Return small networks with every part, by name; the first has branches to align."""
        uneven = _stages((6, 8, 10, 12), module_counts=(1, 2, 1), block_count=1)
        even = _stages((4, 8, 12, 16), module_counts=(1, 1, 1), block_count=1)
        return {
            "wflw": cls(98, HRNetHyperparameters(8, 1, 4, uneven), crop_size_px=64),
            "aflw": cls(19, HRNetHyperparameters(8, 1, 4, even), crop_size_px=64),
        }


def _stages(
    channels: tuple[int, ...], *, module_counts: tuple[int, int, int], block_count: int
) -> tuple[HRNetStage, ...]:
    """Return three stages, of which the first has two branches and each next one more."""
    return tuple(
        HRNetStage(modules, block_count, channels[:branches])
        for branches, modules in enumerate(module_counts, start=2)
    )
