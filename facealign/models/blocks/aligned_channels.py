"""Room for zeros: an HRNet whose channel counts are multiples of four.

ONNX Runtime 1.31 has a blocked layout for convolutions, and takes maps into it in groups of four
channels only. The finest branch of HRNet-W18 has 18. With two channels of zeros more, all of the
network stays in that layout; other engines pad such maps by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from facealign.models.backbones.hrnet import HRNetHyperparameters

__all__ = ["aligned_count", "aligned_hrnet_sizes", "spread_input_channels", "zero_padded"]

_GROUP = 4


def aligned_count(channels: int) -> int:
    """Return the next multiple of four."""
    return -(-channels // _GROUP) * _GROUP


def aligned_hrnet_sizes(sizes: HRNetHyperparameters) -> HRNetHyperparameters:
    """Return the sizes with every branch aligned; the stem is left as it is.

    A network of these sizes computes what the given one does, and zeros in the new channels, when
    each of its tensors is the given one's with `zero_padded` behind it.
    """
    stages = tuple(
        replace(stage, channels=tuple(aligned_count(channels) for channels in stage.channels))
        for stage in sizes.stages
    )
    return replace(sizes, stages=stages)


def zero_padded(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """Return `tensor` with zeros behind it on every axis, up to `shape`.

    As the scale of a batch norm, a zero makes the channel zero whatever its variance is.
    """
    missing = [after - before for before, after in zip(tensor.shape, shape, strict=True)]
    padding = [width for count in reversed(missing) for width in (0, count)]
    return functional.pad(tensor, padding)


def spread_input_channels(weight: Tensor, channels: Sequence[int]) -> Tensor:
    """Return the weight of a convolution for an input of aligned branches.

    Args:
        weight: ``(out, sum of channels, k, k)``.
        channels: Of each branch before, in the order in which they are concatenated.

    Returns:
        ``(out, sum of aligned channels, k, k)``, zeros for what was added.
    """
    parts = [
        zero_padded(part, (part.shape[0], aligned_count(part.shape[1]), *part.shape[2:]))
        for part in torch.split(weight, list(channels), dim=1)
    ]
    return torch.cat(parts, dim=1)
