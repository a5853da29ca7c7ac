"""What the rewritten halves of SPIGA share: constants, and norms as scale and shift."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["scale_and_shift"]

AnyBatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what a trained BatchNorm multiplies with and adds, ``(C,)`` float64 each."""
    state = {name: value.double() for name, value in norm.state_dict().items()}
    scale = state["weight"] / torch.sqrt(state["running_var"] + cast("AnyBatchNorm", norm).eps)
    return scale, state["bias"] - scale * state["running_mean"]
