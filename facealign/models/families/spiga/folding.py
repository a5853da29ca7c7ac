"""What the rewritten halves of SPIGA share: constants, and norms as scale and shift."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["constant", "scale_and_shift"]

AnyBatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def constant(tensor: Tensor) -> nn.Parameter:
    """Return a contiguous copy that the trace takes for an initializer; float64 becomes float32."""
    narrow = tensor.float() if tensor.dtype == torch.float64 else tensor
    return nn.Parameter(
        narrow.detach().clone(memory_format=torch.contiguous_format), requires_grad=False
    )


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what a trained BatchNorm multiplies with and adds, ``(C,)`` float64 each."""
    state = {name: value.double() for name, value in norm.state_dict().items()}
    scale = state["weight"] / torch.sqrt(state["running_var"] + cast("AnyBatchNorm", norm).eps)
    return scale, state["bias"] - scale * state["running_mean"]
