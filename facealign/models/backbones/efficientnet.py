"""EfficientNet b0 and b1, up to the last 1x1 convolution.

Source: Tan and Le, ICML 2019 (EfficientNet), table 1; SPEC 4.9 for the padding, which is made for
    another crop than the one used; attribute names are those of the published checkpoints.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbone import Backbone, Shapes, count_indices

__all__ = ["BACKBONE", "EfficientNet", "EfficientNetBlock", "EfficientNetHyperparameters"]

_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # table 1, stages 2 to 8; no shape shows them
_STEM_KERNEL, _STEM_STRIDE = 3, 2
_NORM_EPSILON = 1e-3  # SPEC 4.9
# By the blocks of the first stage: the side, in pixels, of the crop that b0 and b1 were made for.
_DESIGN_SIZE_PX = {1: 224, 2: 240}
_NAMES = {224: "b0", 240: "b1"}
_WIDEST_HEAD = 1280  # b2 and up are wider; their first stage looks like that of b1


@dataclass(frozen=True, slots=True)
class EfficientNetBlock:
    """One block.

    Attributes:
        kernel_size: Of the depthwise convolution.
        stride: Of the same.
        hidden_channels: Of the same; those that come in if nothing expands them.
        squeezed_channels: Between the two layers of squeeze-and-excite.
        channels: That go out.
    """

    kernel_size: int
    stride: int
    hidden_channels: int
    squeezed_channels: int
    channels: int


@dataclass(frozen=True, slots=True)
class EfficientNetHyperparameters:
    """Everything about an EfficientNet that its state dict shows, and what follows from that.

    Attributes:
        stem_channels: Of the first convolution.
        head_channels: Of the last.
        design_size_px: Side of the crop that the padding is made for.
        blocks: All of them, in order.
    """

    stem_channels: int
    head_channels: int
    design_size_px: int
    blocks: tuple[EfficientNetBlock, ...]


class EfficientNet(nn.Module):
    """A strided convolution, mobile blocks with squeeze-and-excite, and a 1x1 convolution."""

    def __init__(self, sizes: EfficientNetHyperparameters) -> None:
        super().__init__()
        stem = sizes.stem_channels
        size_px = sizes.design_size_px
        self._conv_stem = _padded_conv(
            3, stem, kernel_size=_STEM_KERNEL, stride=_STEM_STRIDE, size_px=size_px
        )
        self._bn0 = _norm(stem)
        blocks = []
        in_channels, size_px = stem, _halved(size_px, _STEM_STRIDE)
        for block in sizes.blocks:
            blocks.append(_Block(in_channels, block, size_px=size_px))
            in_channels, size_px = block.channels, _halved(size_px, block.stride)
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(in_channels, sizes.head_channels, 1, bias=False)
        self._bn1 = _norm(sizes.head_channels)

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return one map, ``(B, C, H / 32, W / 32)``, from ``(B, 3, H, W)`` normalised images."""
        maps = _swish(self._bn0(self._conv_stem(image)))
        return (_swish(self._bn1(self._conv_head(self._blocks(maps)))),)


class _Block(nn.Module):
    """Expand by 1x1, filter each channel, weigh the channels, project by 1x1."""

    def __init__(self, in_channels: int, block: EfficientNetBlock, *, size_px: int) -> None:
        super().__init__()
        hidden, squeezed, channels = block.hidden_channels, block.squeezed_channels, block.channels
        self.is_expanding = hidden != in_channels
        if self.is_expanding:
            self._expand_conv = nn.Conv2d(in_channels, hidden, 1, bias=False)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = _padded_conv(
            hidden,
            hidden,
            kernel_size=block.kernel_size,
            stride=block.stride,
            size_px=size_px,
            groups=hidden,
        )
        self._bn1 = _norm(hidden)
        self._se_reduce = nn.Conv2d(hidden, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, hidden, 1)
        self._project_conv = nn.Conv2d(hidden, channels, 1, bias=False)
        self._bn2 = _norm(channels)
        self.has_shortcut = block.stride == 1 and in_channels == channels

    def forward(self, maps: Tensor) -> Tensor:
        out = _swish(self._bn0(self._expand_conv(maps))) if self.is_expanding else maps
        out = _swish(self._bn1(self._depthwise_conv(out)))
        squeezed = _swish(self._se_reduce(functional.adaptive_avg_pool2d(out, 1)))
        out = out * self._se_expand(squeezed).sigmoid()
        projected: Tensor = self._bn2(self._project_conv(out))
        return maps + projected if self.has_shortcut else projected


class _StaticallyPaddedConv2d(nn.Conv2d):
    """A convolution with as many zeros before a map as it is given, and as many behind it.

    The exporter puts them into the Conv node.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        *,
        stride: int,
        groups: int,
        zeros: tuple[int, int],
    ) -> None:
        super().__init__(
            in_channels, channels, kernel_size, stride=stride, groups=groups, bias=False
        )
        self.zeros = zeros  # before and after, the same for rows and columns

    def forward(self, maps: Tensor) -> Tensor:
        out: Tensor = super().forward(functional.pad(maps, self.zeros * 2))
        return out


def _padded_conv(
    in_channels: int, channels: int, *, kernel_size: int, stride: int, size_px: int, groups: int = 1
) -> nn.Conv2d:
    """Return a convolution with the zeros that TensorFlow's SAME adds to maps of side `size_px`.

    The authors fix them there, and then give the network maps of another side (SPEC 4.9). Of an odd
    number of zeros, the smaller half goes before the map.
    """
    count = max((_halved(size_px, stride) - 1) * stride + kernel_size - size_px, 0)
    before, after = count // 2, count - count // 2
    if before == after:
        return nn.Conv2d(
            in_channels,
            channels,
            kernel_size,
            stride=stride,
            padding=before,
            groups=groups,
            bias=False,
        )
    return _StaticallyPaddedConv2d(
        in_channels, channels, kernel_size, stride=stride, groups=groups, zeros=(before, after)
    )


def _halved(size_px: int, stride: int) -> int:
    return -(-size_px // stride)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_NORM_EPSILON)


def _swish(maps: Tensor) -> Tensor:
    return maps * maps.sigmoid()


def _matches(shapes: Shapes) -> bool:
    return "_conv_stem.weight" in shapes


def _read_hyperparameters(shapes: Shapes) -> EfficientNetHyperparameters:
    head_channels = shapes["_conv_head.weight"][0]
    block_count = count_indices(shapes, "_blocks.{}._depthwise_conv.weight")
    blocks = [_block_from_shapes(shapes, f"_blocks.{index}") for index in range(block_count)]
    stages = [
        list(stage) for _, stage in itertools.groupby(blocks, key=lambda block: block.channels)
    ]
    if len(stages) != len(_STAGE_STRIDES) or len(stages[0]) not in _DESIGN_SIZE_PX:
        raise KeyError("_blocks.*, as in EfficientNet b0 or b1")
    if head_channels > _WIDEST_HEAD:
        raise KeyError(f"_conv_head.weight of at most {_WIDEST_HEAD} channels, as in b0 and b1")
    return EfficientNetHyperparameters(
        stem_channels=shapes["_conv_stem.weight"][0],
        head_channels=head_channels,
        design_size_px=_DESIGN_SIZE_PX[len(stages[0])],
        blocks=tuple(
            dataclasses.replace(block, stride=stride if number == 0 else 1)
            for stage, stride in zip(stages, _STAGE_STRIDES, strict=True)
            for number, block in enumerate(stage)
        ),
    )


def _block_from_shapes(shapes: Shapes, block: str) -> EfficientNetBlock:
    hidden, _, kernel_size, _ = shapes[f"{block}._depthwise_conv.weight"]
    return EfficientNetBlock(
        kernel_size=kernel_size,
        stride=1,
        hidden_channels=hidden,
        squeezed_channels=shapes[f"{block}._se_reduce.weight"][0],
        channels=shapes[f"{block}._project_conv.weight"][0],
    )


def _describe(sizes: EfficientNetHyperparameters) -> str:
    return f"EfficientNet-{_NAMES[sizes.design_size_px]}"


def _channels(sizes: EfficientNetHyperparameters) -> tuple[int, ...]:
    return (sizes.head_channels,)


def _tiny() -> dict[str, EfficientNetHyperparameters]:
    return {name: _tiny_sizes(count) for name, count in (("b0", 1), ("b1", 2))}


def _tiny_sizes(first_stage_blocks: int) -> EfficientNetHyperparameters:
    def block(kernel_size: int, stride: int, hidden: int, channels: int) -> EfficientNetBlock:
        return EfficientNetBlock(kernel_size, stride, hidden, 2, channels)

    first_stage = (block(3, 1, 4, 3), block(3, 1, 3, 3))[:first_stage_blocks]
    later_stages = (
        block(3, 2, 6, 4),
        block(5, 2, 8, 5),
        block(3, 2, 10, 6),
        block(5, 1, 12, 7),
        block(5, 2, 14, 8),
        block(5, 1, 16, 8),
        block(3, 1, 16, 9),
    )
    return EfficientNetHyperparameters(
        stem_channels=4,
        head_channels=12,
        design_size_px=_DESIGN_SIZE_PX[first_stage_blocks],
        blocks=first_stage + later_stages,
    )


BACKBONE = Backbone(
    name="efficientnet",
    matches=_matches,
    read_hyperparameters=_read_hyperparameters,
    describe=_describe,
    build=EfficientNet,
    channels=_channels,
    tiny=_tiny,
)
