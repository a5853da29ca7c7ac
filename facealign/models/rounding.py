"""How much a network makes of rounding: the distance below which no comparison means anything."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models.load import Model

__all__ = ["rounding_noise_px"]

_BATCH = 4
_LAST_BIT = 2.0**-23  # of float32
_SEED = 0


def rounding_noise_px(model: Model, crops: NDArray[np.uint8]) -> float:
    """Return how far landmarks move at most when the last bit of every weight changes.

    Args:
        model: Its reference network stays as it is.
        crops: ``(K, S, S, 3)`` uint8 BGR.

    Returns:
        Pixels of the crop, over all landmarks of all crops that are decided; infinite if any is
        not finite.
    """
    jittered = copy.deepcopy(model.network)
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for weight in _weights(jittered):
            sign = torch.randint(0, 2, weight.shape, generator=generator) * 2 - 1
            weight.mul_(1 + sign * _LAST_BIT)
    distances = [
        _distance_px(model, jittered, torch.from_numpy(crops[start : start + _BATCH].copy()))
        for start in range(0, len(crops), _BATCH)
    ]
    return max(distances)


def _weights(network: nn.Module) -> Iterator[Tensor]:
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            yield tensor


def _distance_px(model: Model, jittered: nn.Module, crops: Tensor) -> float:
    with torch.no_grad():
        own = model.family.reference(model.network, crops)
        other = model.family.reference(jittered, crops)
    distance = (own["landmarks"] - other["landmarks"]).norm(dim=-1) * model.crop.size_px  # (B, N)
    undecided = own.get("undecided", torch.zeros_like(distance, dtype=torch.bool))
    decided = torch.where(undecided, 0.0, distance)
    return float(decided.max()) if bool(torch.isfinite(decided).all()) else float("inf")
