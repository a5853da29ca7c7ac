"""Name, type and shape of a graph's input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BATCH", "ExtraOutput", "TensorSpec", "contract_input", "contract_outputs"]

BATCH = "B"  # the one dynamic axis of every graph

ExtraOutput = Literal["pose", "score"]
"""What a graph may give behind its landmarks."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a graph; `shape` names its dynamic axis `BATCH`."""

    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int | str, ...]


def contract_input(size_px: int) -> TensorSpec:
    """Return the one input of every graph: BGR crops as OpenCV gives them."""
    return TensorSpec("image", "uint8", (BATCH, size_px, size_px, 3))


def contract_outputs(
    landmark_count: int, extra: tuple[ExtraOutput, ...] = ()
) -> tuple[TensorSpec, ...]:
    """Return the outputs of a graph, in order.

    ``landmarks`` are x and y as a fraction of the crop; ``pose`` is yaw, pitch and roll in degrees
    and a translation in units of the 3-D face; ``score`` is the peak of each landmark's heat map.
    """
    shapes: dict[str, tuple[int | str, ...]] = {
        "landmarks": (BATCH, landmark_count, 2),
        "pose": (BATCH, 6),
        "score": (BATCH, landmark_count),
    }
    return tuple(TensorSpec(name, "float32", shapes[name]) for name in ("landmarks", *extra))
