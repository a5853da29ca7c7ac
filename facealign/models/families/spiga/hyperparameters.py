"""SPIGA: what names and shapes of a state dict say about the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from facealign.errors import StateDictError

__all__ = ["SpigaHyperparameters"]

_AUTHORS_HEAD_COUNT = 4
_STEM_STRIDE = 4
_BOTTLENECK_CELLS = 4  # two poolings of the pose branch bring it to one (SPEC 2.4)
_DECODER_STRIDE = 3  # convolution, norm and ReLU


@dataclass(frozen=True, slots=True)
class SpigaHyperparameters:
    """Everything that fixes a SPIGA network but its weights and its 3-D face.

    Attributes:
        landmark_count: N.
        edge_count: E, boundary edges of the face.
        stem_channels: Channels after each of the three parts of the stem; the last are C, those of
            the hourglasses.
        stack_count: Hourglasses, one behind the other.
        depth: Poolings of one hourglass.
        token_width: D, of what the visual and the shape branch give.
        patch_size: Cells along the side of a landmark's patch.
        shape_widths: Of the hidden layers of the shape branch.
        relation_widths: What each graph attention layer gives.
        decoder_widths: Of the hidden layers that lead to the offset.
        step_count: Steps of the cascade.
        head_count: Attention heads; in no shape.
    """

    landmark_count: int
    edge_count: int
    stem_channels: tuple[int, int, int]
    stack_count: int
    depth: int
    token_width: int
    patch_size: int
    shape_widths: tuple[int, ...]
    relation_widths: tuple[int, ...]
    decoder_widths: tuple[int, ...]
    step_count: int
    head_count: int = _AUTHORS_HEAD_COUNT

    @property
    def channels(self) -> int:
        """C, of the hourglasses and of the visual field."""
        return self.stem_channels[-1]

    @property
    def map_size(self) -> int:
        """Side of the visual field, in cells; the hourglasses' bottleneck must be 4 x 4."""
        return int(_BOTTLENECK_CELLS * 2**self.depth)

    @property
    def crop_size_px(self) -> int:
        """Side of the crop; 256 px for the authors' depth of 4."""
        return _STEM_STRIDE * self.map_size

    @property
    def windows(self) -> tuple[float, ...]:
        """Side of the square that a landmark can move in, per step, as a fraction of the crop.

        16, 8 and 4 cells of 64 for the authors' three steps (SPEC 2.6).
        """
        return tuple(0.25 / 2**step for step in range(self.step_count))

    @classmethod
    def from_shapes(
        cls, shapes: Mapping[str, Sequence[int]], settings: Mapping[str, int]
    ) -> SpigaHyperparameters:
        """Return the hyper-parameters that a state dict and the user's settings show.

        Args:
            shapes: State-dict key to tensor shape.
            settings: ``heads``, or nothing for the authors' 4.

        Raises:
            KeyError: If a key that every SPIGA checkpoint has is missing; the key is the argument.
            StateDictError: If a layer's width cannot be shared among that many heads.
        """
        token_width, channels, patch_size, _ = shapes["conv_window.0.weight"]
        stem = (shapes[f"visual_cnn.pre.{part}.conv.weight"][0] for part in (1, 3))
        relations = _widths(shapes, "gcn.0.gat.{}.attention.mlp.3.weight")
        head_count = settings.get("heads", _AUTHORS_HEAD_COUNT)
        _check_heads(head_count, (token_width, *relations[:-1]))
        return cls(
            landmark_count=_first(shapes, "visual_cnn.outs_points.0.0.conv.weight"),
            edge_count=_first(shapes, "visual_cnn.outs_edges.0.0.conv.weight"),
            stem_channels=(next(stem), next(stem), channels),
            stack_count=len(_widths(shapes, "visual_cnn.hgs.{}.up1.bn1.weight")),
            depth=_depth(shapes),
            token_width=token_width,
            patch_size=patch_size,
            shape_widths=_hidden_widths(shapes, "shape_encoder.0.encoder.{}.weight"),
            relation_widths=relations,
            decoder_widths=_hidden_widths(shapes, "gcn.0.decoder.decoder.{}.weight"),
            step_count=len(_widths(shapes, "conv_window.{}.weight")),
            head_count=head_count,
        )

    @classmethod
    def tiny(cls) -> dict[str, SpigaHyperparameters]:
        """Return the smallest networks that still have every part, by landmark set."""
        return {
            "wflw": _tiny(landmark_count=98, edge_count=15, depth=2),
            "300w": _tiny(landmark_count=68, edge_count=13, depth=3),
        }


def _tiny(*, landmark_count: int, edge_count: int, depth: int) -> SpigaHyperparameters:
    return SpigaHyperparameters(
        landmark_count=landmark_count,
        edge_count=edge_count,
        stem_channels=(6, 8, 12),
        stack_count=2,  # with a third one, untrained weights blow rounding up to 0.01 px
        depth=depth,
        token_width=16,
        patch_size=7,
        shape_widths=(8, 8),
        relation_widths=(8, 8),
        decoder_widths=(8, 6),
        step_count=3,
    )


def _check_heads(head_count: int, widths: Sequence[int]) -> None:
    for width in widths:
        if head_count < 1 or width % head_count:
            raise StateDictError(
                f"{head_count} heads cannot share {width} channels; "
                f"pass `--set heads=` a divisor of {width}"
            )


def _first(shapes: Mapping[str, Sequence[int]], key: str) -> int:
    return shapes[key][0]


def _widths(shapes: Mapping[str, Sequence[int]], pattern: str) -> tuple[int, ...]:
    """Return the first dimension of each key of a numbered series, which has at least one."""
    shapes[pattern.format(0)]
    keys = takewhile(shapes.__contains__, (pattern.format(index) for index in count()))
    return tuple(shapes[key][0] for key in keys)


def _hidden_widths(shapes: Mapping[str, Sequence[int]], pattern: str) -> tuple[int, ...]:
    """Return the widths of all layers but the last of a series of convolutions."""
    every_third = (pattern.format(index) for index in count(step=_DECODER_STRIDE))
    keys = takewhile(shapes.__contains__, every_third)
    return tuple(shapes[key][0] for key in keys)[:-1]


def _depth(shapes: Mapping[str, Sequence[int]]) -> int:
    """Return how deep the first hourglass is; each level lies in `low2` of the one above."""
    levels = ("visual_cnn.hgs.0" + ".low2" * level for level in count())
    return len(list(takewhile(lambda level: f"{level}.up1.bn1.weight" in shapes, levels)))
