"""SLPT: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from facealign.errors import StateDictError
from facealign.models.backbones.hrnet import HRNetHyperparameters, HRNetStage, hrnet_from_shapes

__all__ = ["SlptHyperparameters"]

_LAYER = "Transformer.Transformer_block.layers.{}.linear1.weight"
_STRIDE = 4  # of the finest HRNet branch
_AUTHORS_HEAD_COUNT = 8


@dataclass(frozen=True, slots=True)
class SlptHyperparameters:
    """Everything that fixes an SLPT network but its weights and its mean shape.

    The last four are in no tensor; they default to what the authors publish.
    """

    landmark_count: int
    width: int
    layer_count: int
    ffn_width: int
    patch_size: int
    backbone: HRNetHyperparameters
    head_count: int = _AUTHORS_HEAD_COUNT
    crop_size_px: int = 256
    stage_count: int = 3
    half_patch_norm: float = 8 / 64  # first stage; halves from stage to stage (SPEC 3.5)

    @property
    def map_size(self) -> int:
        """Side of the feature map, in cells."""
        return self.crop_size_px // _STRIDE

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], settings: Mapping[str, int]
    ) -> SlptHyperparameters:
        """Return the hyper-parameters that a state dict and the user's settings show.

        Args:
            shapes: State-dict key to tensor shape.
            settings: ``heads``, or nothing for the authors' 8.

        Raises:
            KeyError: If a key that every SLPT checkpoint has is missing; the key is the argument.
            StateDictError: If the width cannot be shared among that many heads.
        """
        width, _, patch_size, _ = shapes["feature_extractor.weight"]
        head_count = settings.get("heads", _AUTHORS_HEAD_COUNT)
        if head_count < 1 or width % head_count:
            raise StateDictError(
                f"{head_count} heads cannot share {width} channels; "
                f"pass `--set heads=` a divisor of {width}"
            )
        layer_count = 0
        while _LAYER.format(layer_count) in shapes:
            layer_count += 1
        return cls(
            landmark_count=shapes["Transformer.landmark_query"][1],
            width=width,
            layer_count=layer_count,
            ffn_width=shapes[_LAYER.format(0)][0],
            patch_size=patch_size,
            head_count=head_count,
            backbone=hrnet_from_shapes(shapes, prefix="backbone."),
        )

    @classmethod
    def tiny(cls) -> SlptHyperparameters:
        """Return the smallest network that still has every part; tests run it in milliseconds."""
        return cls(
            landmark_count=98,
            width=16,
            layer_count=2,
            ffn_width=24,
            patch_size=7,
            head_count=4,
            crop_size_px=64,
            backbone=HRNetHyperparameters(
                stem_channels=8,
                layer1_block_count=1,
                layer1_channels=4,
                stages=(
                    HRNetStage(module_count=1, block_count=1, channels=(4, 6)),
                    HRNetStage(module_count=1, block_count=1, channels=(4, 6, 8)),
                    HRNetStage(module_count=1, block_count=1, channels=(4, 6, 8, 10)),
                ),
            ),
        )
