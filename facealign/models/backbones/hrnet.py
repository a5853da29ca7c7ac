"""HRNet: a high-resolution network that keeps several resolutions alive side by side.

Source: Sun et al., CVPR 2019 (HRNet), sec. 3; attribute names are those of the published
    checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from facealign.models.backbone import Backbone, Shapes, count_indices

__all__ = [
    "BACKBONE",
    "HRNet",
    "HRNetHyperparameters",
    "HRNetStage",
    "PooledHRNet",
    "concatenate_branches",
    "hrnet_from_shapes",
]

_BOTTLENECK_EXPANSION = 4
_STAGE_NAMES = ("stage2", "stage3", "stage4")


@dataclass(frozen=True, slots=True)
class HRNetStage:
    """One stage: `module_count` exchange modules over parallel branches."""

    module_count: int
    block_count: int
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HRNetHyperparameters:
    """Everything about an HRNet that its state dict shows."""

    stem_channels: int
    layer1_block_count: int
    layer1_channels: int
    stages: tuple[HRNetStage, ...]

    @property
    def output_channels(self) -> int:
        """Channels of all branches of the last stage together."""
        return sum(self.stages[-1].channels)


def hrnet_from_shapes(
    shapes: Mapping[str, Sequence[int]], *, prefix: str = ""
) -> HRNetHyperparameters:
    """Return the hyper-parameters that names and shapes of a state dict show.

    Args:
        shapes: State-dict key to tensor shape.
        prefix: What stands before ``conv1.weight``, with its dot.

    Raises:
        KeyError: If a key that every HRNet has is missing; the key is the argument.
    """
    stages = tuple(_stage_from_shapes(shapes, f"{prefix}{name}") for name in _STAGE_NAMES)
    return HRNetHyperparameters(
        stem_channels=shapes[f"{prefix}conv1.weight"][0],
        layer1_block_count=count_indices(shapes, f"{prefix}layer1.{{}}.conv1.weight"),
        layer1_channels=shapes[f"{prefix}layer1.0.conv1.weight"][0],
        stages=stages,
    )


def _stage_from_shapes(shapes: Mapping[str, Sequence[int]], stage: str) -> HRNetStage:
    branch_count = count_indices(shapes, f"{stage}.0.branches.{{}}.0.conv1.weight")
    return HRNetStage(
        module_count=count_indices(shapes, f"{stage}.{{}}.branches.0.0.conv1.weight"),
        block_count=count_indices(shapes, f"{stage}.0.branches.0.{{}}.conv1.weight"),
        channels=tuple(
            shapes[f"{stage}.0.branches.{branch}.0.conv1.weight"][0]
            for branch in range(branch_count)
        ),
    )


class HRNet(nn.Module):
    """Stem, four bottlenecks, then stages of parallel branches at strides 4, 8, 16 and 32."""

    def __init__(self, hyperparameters: HRNetHyperparameters) -> None:
        super().__init__()
        stem = hyperparameters.stem_channels
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.layer1 = _layer1(hyperparameters)
        channels: tuple[int, ...] = (hyperparameters.layer1_channels * _BOTTLENECK_EXPANSION,)
        for number, stage in enumerate(hyperparameters.stages, start=1):
            self.add_module(f"transition{number}", _transition(channels, stage.channels))
            self.add_module(f"stage{number + 1}", _stage(stage))
            channels = stage.channels
        self._stage_count = len(hyperparameters.stages)

    def forward(self, image: Tensor) -> Sequence[Tensor]:
        """Return the branches of the last stage, finest first.

        Args:
            image: ``(B, 3, H, W)`` float, normalised; H and W are multiples of 32.

        Returns:
            Branch ``i`` is ``(B, channels[i], H / 2**(i + 2), W / 2**(i + 2))``.
        """
        return self.branches_from_stem(self.conv1(image))

    def branches_from_stem(self, stem: Tensor) -> list[Tensor]:
        """Return what `forward` does, from the output of its first convolution."""
        maps = self.relu(self.bn1(stem))
        maps = self.relu(self.bn2(self.conv2(maps)))
        branches = [self.layer1(maps)]
        for number in range(1, self._stage_count + 1):
            branches = self._apply_transition(number, branches)
            for exchange in self.get_submodule(f"stage{number + 1}").children():
                branches = exchange(branches)
        return branches

    def _apply_transition(self, number: int, branches: list[Tensor]) -> list[Tensor]:
        """Return the branches that stage ``number + 1`` takes; new ones grow from the coarsest."""
        transition = self.get_submodule(f"transition{number}")
        return [
            layer(branches[min(index, len(branches) - 1)])
            for index, layer in enumerate(transition.children())
        ]


def _layer1(hyperparameters: HRNetHyperparameters) -> nn.Sequential:
    blocks: list[nn.Module] = []
    in_channels = hyperparameters.stem_channels
    for _ in range(hyperparameters.layer1_block_count):
        blocks.append(_Bottleneck(in_channels, hyperparameters.layer1_channels))
        in_channels = hyperparameters.layer1_channels * _BOTTLENECK_EXPANSION
    return nn.Sequential(*blocks)


def _transition(before: tuple[int, ...], after: tuple[int, ...]) -> nn.ModuleList:
    layers: list[nn.Module] = []
    for index, channels in enumerate(after):
        if index >= len(before):
            layers.append(nn.Sequential(_conv_bn_relu(before[-1], channels, stride=2)))
        elif before[index] != channels:
            layers.append(_conv_bn_relu(before[index], channels, stride=1))
        else:
            layers.append(nn.Identity())
    return nn.ModuleList(layers)


def _stage(stage: HRNetStage) -> nn.Sequential:
    return nn.Sequential(*(_ExchangeModule(stage) for _ in range(stage.module_count)))


def _conv_bn_relu(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class _Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut (He et al., CVPR 2016, fig. 5 right)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        out_channels = channels * _BOTTLENECK_EXPANSION
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, maps: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(maps)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        summed: Tensor = self.relu(out + self.downsample(maps))
        return summed


class _BasicBlock(nn.Module):
    """Two 3x3 convolutions with an identity shortcut (He et al., CVPR 2016, fig. 5 left)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(maps)))
        summed: Tensor = self.relu(self.bn2(self.conv2(out)) + maps)
        return summed


class _ExchangeModule(nn.Module):
    """Parallel branches, then every branch receives the sum of all, each brought to its size."""

    def __init__(self, stage: HRNetStage) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(_BasicBlock(channels) for _ in range(stage.block_count)))
            for channels in stage.channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(
                _fuse_layer(stage.channels, to, source) for source in range(len(stage.channels))
            )
            for to in range(len(stage.channels))
        )
        self.relu = nn.ReLU()

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [layer(maps) for layer, maps in zip(self.branches, branches, strict=True)]
        return [self._fuse(to, branches) for to in range(len(branches))]

    def _fuse(self, to: int, branches: list[Tensor]) -> Tensor:
        row = self.fuse_layers[to]
        size = branches[to].shape[-2:]
        total: Tensor | None = None
        for source, layer in enumerate(row.children()):
            part = layer(branches[source])
            if source > to:
                part = functional.interpolate(part, size=size, mode="bilinear", align_corners=False)
            total = part if total is None else total + part
        fused: Tensor = self.relu(total)
        return fused


def _fuse_layer(channels: tuple[int, ...], to: int, source: int) -> nn.Module:
    """Return the layer that brings branch `source` to branch `to`; resizing up is done after it."""
    if source == to:
        return nn.Identity()
    if source > to:
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[to], 1, bias=False),
            nn.BatchNorm2d(channels[to]),
        )
    steps: list[nn.Module] = [
        _conv_bn_relu(channels[source], channels[source], stride=2) for _ in range(to - source - 1)
    ]
    last = _conv_bn_relu(channels[source], channels[to], stride=2)
    steps.append(last[:2])
    return nn.Sequential(*steps)


def concatenate_branches(branches: Sequence[Tensor]) -> Tensor:
    """Return all branches at the finest size, ``(B, sum of channels, H, W)``."""
    size = branches[0].shape[-2:]
    resized = [
        functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
        for maps in branches[1:]
    ]
    return torch.cat([branches[0], *resized], dim=1)


class PooledHRNet(HRNet):
    """HRNet for heads that want one coarse map: all branches at the size of the coarsest."""

    def forward(self, image: Tensor) -> tuple[Tensor]:
        """Return one map, ``(B, sum of channels, H / 32, W / 32)``, finest branch first.

        The finer branches are resized bilinearly, not convolved as the paper says (SPEC 4.10): of
        the cells under one of the result, only the middle four count.
        """
        branches = self.branches_from_stem(self.conv1(image))
        size = branches[-1].shape[-2:]
        resized = [
            functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
            for maps in branches[:-1]
        ]
        return (torch.cat([*resized, branches[-1]], dim=1),)


def _matches(shapes: Shapes) -> bool:
    return "stage4.0.branches.3.0.conv1.weight" in shapes


def _describe(sizes: HRNetHyperparameters) -> str:
    return f"HRNet-W{sizes.stages[0].channels[0]}"


def _channels(sizes: HRNetHyperparameters) -> tuple[int, ...]:
    return (sizes.output_channels,)


def _tiny() -> dict[str, HRNetHyperparameters]:
    channels = (2, 3, 4, 5)
    return {
        "pooled": HRNetHyperparameters(
            stem_channels=4,
            layer1_block_count=2,
            layer1_channels=2,
            stages=tuple(
                HRNetStage(module_count=count, block_count=1, channels=channels[: index + 2])
                for index, count in enumerate((1, 2, 1))
            ),
        )
    }


BACKBONE = Backbone(
    name="hrnet",
    matches=_matches,
    read_hyperparameters=hrnet_from_shapes,
    describe=_describe,
    build=PooledHRNet,
    channels=_channels,
    tiny=_tiny,
)
