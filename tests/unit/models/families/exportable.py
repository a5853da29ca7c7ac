"""What the test of every exportable asks: is each of its points that of the network?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from facealign.models.family import Exportable

__all__ = [
    "assert_decided_landmarks_agree",
    "assert_holds",
    "exportable_points",
    "point_deviations",
    "tensors_of",
]


def exportable_points(exportable: Exportable, crops: Tensor) -> dict[str, Tensor]:
    return dict(zip(exportable.output_names, exportable(crops), strict=True))


def point_deviations(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, float]:
    """Return the largest deviation of each point that was found, of its largest value."""
    return {
        name: float((point - expected[name]).abs().max() / expected[name].abs().max())
        for name, point in found.items()
    }


def assert_decided_landmarks_agree(landmarks: Tensor, expected: Mapping[str, Tensor]) -> None:
    decided = ~expected["undecided"]
    assert decided.float().mean() > 0.5
    torch.testing.assert_close(landmarks[decided], expected["landmarks"][decided])


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state dict."""
    return {key: value.clone() for key, value in network.state_dict().items()}


def assert_holds(network: nn.Module, before: Mapping[str, Tensor]) -> None:
    """Assert that the state dict is still the one before."""
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], value) for key, value in before.items())
