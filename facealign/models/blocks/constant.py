"""Tensors that a graph holds as they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["constant"]


def constant(tensor: Tensor) -> nn.Parameter:
    """Return a contiguous copy that the trace takes for an initializer; float64 becomes float32."""
    narrow = tensor.float() if tensor.dtype == torch.float64 else tensor
    values = narrow.detach().clone(memory_format=torch.contiguous_format)
    return nn.Parameter(values, requires_grad=False)
