"""What a head tells the SDFL family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from facealign.models.backbone import Shapes

__all__ = ["FoldedHead", "Head", "HeadSizes"]


class HeadSizes(Protocol):
    """What the sizes of every head know; each is a frozen dataclass of plain numbers."""

    @property
    def landmark_count(self) -> int:
        """N."""

    @property
    def map_size(self) -> int:
        """Side of the backbone's last map, in cells."""

    @property
    def edge_count(self) -> int | None:
        """Edges of the graph, with those from a landmark to itself; None if there is no graph."""


class FoldedHead(nn.Module):
    """Base of the heads as they are traced; `probe_names` lists what follows the landmarks."""

    probe_names: tuple[str, ...]

    def forward(self, maps: Tensor) -> tuple[Tensor, ...]:
        """Return landmarks ``(B, N, 2)`` as a fraction of the crop, then the probes."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Head:
    """One way from the backbone's last map to landmarks.

    Attributes:
        name: As in the hyper-parameters, such as ``l-grl``.
        meaning: The same in words.
        keys: State-dict keys that mark it.
        read_sizes: From shapes and the backbone's last channels to the head's frozen dataclass.
            Raises `KeyError` for a missing key and `StateDictError` for shapes that do not fit
            together.
        tiny: The smallest sizes that keep every part.
        build: From the backbone's last channels, sizes and ``(N, N)`` graph pattern, None if there
            is no graph, to the plain head. It gives named points, ``landmarks_px`` among them.
        fold: From the trained plain head and what landmarks are multiplied with to the traced one.
    """

    name: str
    meaning: str
    keys: tuple[str, ...]
    read_sizes: Callable[[Shapes, int], Any]
    tiny: Callable[[], Any]
    build: Callable[[int, Any, Tensor | None], nn.Module]
    fold: Callable[[Any, float], FoldedHead]
