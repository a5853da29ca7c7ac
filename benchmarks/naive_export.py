"""A family's reference module the way anyone would export it: the baseline of what ours is worth.

By ``torch.onnx.export(dynamo=True)`` and nothing else, normalisation included. SLPT's is
`naive_slpt`, as the authors' sampler cannot be traced otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from naive_slpt import NaiveSlpt
from numpy.typing import NDArray
from torch import Tensor, nn

from facealign.models.blocks.imagenet import normalised_image
from facealign.models.families.slpt.network import Slpt
from facealign.models.family import Family

__all__ = ["naive_export"]


def naive_export(family: Family, network: nn.Module, crops: NDArray[np.uint8]) -> bytes:
    """Return the ONNX file of a module, for the batch size of `crops`.

    Args:
        family: Of the module.
        network: In evaluation mode.
        crops: ``(B, S, S, 3)`` uint8 BGR.
    """
    module = _naive_module(family, network).eval()
    image = torch.from_numpy(crops)
    program: Any = torch.onnx.export(module, (image,), dynamo=True, opset_version=19, verbose=False)
    graph: bytes = program.model_proto.SerializeToString()
    return graph


def _naive_module(family: Family, network: nn.Module) -> nn.Module:
    return _NaiveSlpt(network) if isinstance(network, Slpt) else _NaiveModule(family, network)


class _NaiveModule(nn.Module):
    """The contract's outputs of the reference module, as anyone would wrap it for an export."""

    def __init__(self, family: Family, network: nn.Module) -> None:
        super().__init__()
        self.family, self.network = family, network
        self.names = ("landmarks", *family.extra_outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return landmarks and the extra outputs, from ``(B, S, S, 3)`` uint8 crops."""
        points = self.family.reference(self.network, image)
        return tuple(points[name] for name in self.names)


class _NaiveSlpt(nn.Module):
    """`NaiveSlpt` with its normalisation."""

    def __init__(self, network: Slpt) -> None:
        super().__init__()
        self.naive = NaiveSlpt(network)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the landmarks of every stage, from ``(B, S, S, 3)`` uint8 crops."""
        stages: tuple[Tensor, ...] = self.naive(normalised_image(image))
        return stages
