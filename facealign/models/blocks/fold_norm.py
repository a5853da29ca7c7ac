"""Put a norm into the convolution before it, where the exporter and the runtime cannot.

They fold a BatchNormalization that follows a Conv, but not with an Add in between.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facealign.models.blocks.coord_conv import MappedConv2d
from facealign.models.blocks.instance_batch_norm import InstanceBatchNorm2d

__all__ = ["fold_norm"]


def fold_norm(block: nn.Module, conv_name: str, norm_name: str) -> None:
    """Fold, in place, the norm that follows a `MappedConv2d` in a block; leave all others alone.

    Of an IBN only the batch normalisation goes; the other half depends on the picture.

    Args:
        block: Holds the two; it is changed.
        conv_name: Attribute of the convolution.
        norm_name: Attribute of the norm that takes what the convolution gives.
    """
    conv, norm = getattr(block, conv_name, None), getattr(block, norm_name, None)
    if not isinstance(conv, MappedConv2d):
        return
    if isinstance(norm, nn.BatchNorm2d):
        block.add_module(conv_name, conv.scaled(*_scale_and_shift(norm)))
        block.add_module(norm_name, nn.Identity())
    elif isinstance(norm, InstanceBatchNorm2d) and isinstance(norm.BN, nn.BatchNorm2d):
        scale, shift = _scale_and_shift(norm.BN)
        by_map = norm.split[0]
        scale = torch.cat([torch.ones(by_map), scale])
        block.add_module(conv_name, conv.scaled(scale, torch.cat([torch.zeros(by_map), shift])))
        norm.BN = nn.Identity()


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the two numbers per channel that a trained norm amounts to."""
    tensors = {key: tensor.double() for key, tensor in norm.state_dict().items()}
    scale = tensors["weight"] / torch.sqrt(tensors["running_var"] + norm.eps)
    return scale.float(), (tensors["bias"] - tensors["running_mean"] * scale).float()
