"""Name, type and shape of a graph's input or output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["BATCH", "TensorSpec", "contract_input", "contract_landmarks"]

BATCH = "B"  # the one dynamic axis of every graph


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a graph; `shape` names its dynamic axis `BATCH`."""

    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int | str, ...]


def contract_input(size_px: int) -> TensorSpec:
    """Return the one input of every graph: BGR crops as OpenCV gives them."""
    return TensorSpec("image", "uint8", (BATCH, size_px, size_px, 3))


def contract_landmarks(landmark_count: int) -> TensorSpec:
    """Return the first output of every graph: x and y as a fraction of the crop."""
    return TensorSpec("landmarks", "float32", (BATCH, landmark_count, 2))
