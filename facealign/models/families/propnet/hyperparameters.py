"""PropNet: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facealign.models.backbone import count_indices

__all__ = ["PropNetHyperparameters"]

_STRIDE = 4  # of the heat maps


@dataclass(frozen=True, slots=True)
class PropNetHyperparameters:
    """Everything that fixes a PropNet but its weights.

    The size of the crop is in no tensor; it defaults to the paper's.

    Attributes:
        landmark_count: N.
        boundary_count: Boundaries of the face, E.
        boundary_layer_count: 7x7 convolutions from landmarks to boundaries.
        stack_count: Hourglasses in a row.
        depth: How often each of them halves the map.
        propagation_depth: The same, of the hourglass in a propagation module.
        stem_channels: Of the first convolution, then of the first block.
        width: Channels of everything behind the stem.
        crop_size_px: Side of the crop.
    """

    landmark_count: int
    boundary_count: int
    boundary_layer_count: int
    stack_count: int
    depth: int
    propagation_depth: int
    stem_channels: tuple[int, int]
    width: int
    crop_size_px: int = 256

    @property
    def map_size(self) -> int:
        """Side of a heat map, in cells."""
        return self.crop_size_px // _STRIDE

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], _: Mapping[str, int]
    ) -> PropNetHyperparameters:
        """Return the hyper-parameters that a state dict shows.

        Args:
            shapes: State-dict key to tensor shape.
            _: Settings; there are none.

        Raises:
            KeyError: If a key that every PropNet has is missing; the key is the argument.
        """
        return cls(
            landmark_count=shapes["stacks.0.heat_maps.weight"][0],
            boundary_count=shapes["propagations.0.boundaries.0.weight"][0],
            boundary_layer_count=count_indices(shapes, "propagations.0.boundaries.{}.weight"),
            stack_count=count_indices(shapes, "stacks.{}.heat_maps.weight"),
            depth=count_indices(shapes, "stacks.0.hourglass.down.{}.conv1.weight"),
            propagation_depth=count_indices(
                shapes, "propagations.0.hourglass.down.{}.conv1.weight"
            ),
            stem_channels=(
                shapes["stem.conv.weight"][0],
                shapes["stem.block1.shortcut.2.weight"][0],
            ),
            width=shapes["stacks.0.heat_maps.weight"][1],
        )

    @classmethod
    def tiny(cls) -> dict[str, PropNetHyperparameters]:
        """Return small networks with every part, by name."""
        return {
            "wflw": cls(
                landmark_count=98,
                boundary_count=15,
                boundary_layer_count=3,
                stack_count=2,
                depth=2,
                propagation_depth=1,
                stem_channels=(4, 8),
                width=16,
                crop_size_px=64,
            ),
            "cofw": cls(
                landmark_count=29,
                boundary_count=6,
                boundary_layer_count=2,
                stack_count=2,
                depth=1,
                propagation_depth=2,
                stem_channels=(4, 12),
                width=12,
                crop_size_px=64,
            ),
        }
