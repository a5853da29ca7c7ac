"""FC: two fully connected layers, the baseline of the paper.

Source: SPEC 4.6; the attribute names are those of the authors' checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn

from facealign.errors import StateDictError
from facealign.models.backbone import Shapes
from facealign.models.blocks.constant import constant
from facealign.models.families.sdfl.heads.head import FoldedHead, Head

__all__ = ["FULLY_CONNECTED", "FullyConnectedPredictor", "FullyConnectedSizes"]

_FIRST = "predictor.fc1.weight"
_LAST = "predictor.fc2.weight"


@dataclass(frozen=True, slots=True)
class FullyConnectedSizes:
    """Two layers; there is no graph.

    Attributes:
        landmark_count: N.
        map_size: Side of the backbone's last map, in cells.
        width: Features between the layers.
    """

    landmark_count: int
    map_size: int
    width: int

    @property
    def edge_count(self) -> None:
        """There is no graph."""
        return


class FullyConnectedPredictor(nn.Module):
    """The head as the authors define it."""

    def __init__(self, in_channels: int, sizes: FullyConnectedSizes, _: Tensor | None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_channels * sizes.map_size**2, sizes.width)
        self.fc2 = nn.Linear(sizes.width, 2 * sizes.landmark_count)

    def forward(self, maps: Tensor) -> dict[str, Tensor]:
        """Return ``hidden`` ``(B, D)`` and ``landmarks_px`` ``(B, N, 2)`` from ``(B, C, H, W)``."""
        hidden = torch.relu(self.fc1(maps.flatten(1)))
        landmarks = self.fc2(hidden)
        return {"hidden": hidden, "landmarks_px": landmarks.reshape(len(maps), -1, 2)}


class _FoldedFullyConnected(FoldedHead):
    """The last layer gives fractions of the crop."""

    probe_names = ("hidden",)

    def __init__(self, head: FullyConnectedPredictor, landmark_factor: float) -> None:
        super().__init__()
        self.fc1 = head.fc1
        self.weight = constant(head.fc2.weight.double() * landmark_factor)
        self.bias = constant(head.fc2.bias.double() * landmark_factor)

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        hidden = torch.relu(self.fc1(maps.flatten(1)))
        landmarks = nn.functional.linear(hidden, self.weight, self.bias)
        return landmarks.reshape(-1, self.bias.shape[0] // 2, 2), hidden


def _read_sizes(shapes: Shapes, in_channels: int) -> FullyConnectedSizes:
    outputs = shapes[_LAST][0]
    width, inputs = shapes[_FIRST]
    map_size = isqrt(inputs // in_channels)
    if in_channels * map_size**2 != inputs or outputs % 2:
        raise StateDictError(
            f"`{_FIRST}` takes {inputs} values and `{_LAST}` gives {outputs} (expected a square "
            f"map of the backbone's {in_channels} channels, and two per landmark); check that "
            "backbone and head are of one checkpoint"
        )
    return FullyConnectedSizes(landmark_count=outputs // 2, map_size=map_size, width=width)


FULLY_CONNECTED = Head(
    name="fc",
    meaning="two fully connected layers",
    keys=(_FIRST, _LAST),
    read_sizes=_read_sizes,
    tiny=lambda: FullyConnectedSizes(landmark_count=29, map_size=2, width=12),
    build=FullyConnectedPredictor,
    fold=_FoldedFullyConnected,
)
