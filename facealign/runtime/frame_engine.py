"""An engine that cuts the crops itself, where the frame is on the device anyway."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from facealign.geometry import Placement
from facealign.runtime.engine import Engine

__all__ = ["FrameEngine", "frames_of"]


@runtime_checkable
class FrameEngine(Engine, Protocol):
    """An `Engine` that may also take whole frames.

    Attributes:
        crops_frames: Whether this one does.
    """

    crops_frames: bool

    def run_frame(
        self, frame: NDArray[np.uint8], squares: Placement
    ) -> dict[str, NDArray[np.float32]]:
        """Return what `run` gives for the crops of these squares, 1 or more of them.

        Args:
            frame: ``(H, W, 3)`` uint8 BGR, any strides.
            squares: Where the crops are; they may reach outside the frame.
        """
        ...

    def crops_from_frame(self, frame: NDArray[np.uint8], squares: Placement) -> NDArray[np.uint8]:
        """Return the crops that `run_frame` runs, for the self-test."""
        ...


def frames_of(engine: Engine) -> FrameEngine | None:
    """Return the engine, if it takes frames."""
    return engine if isinstance(engine, FrameEngine) and engine.crops_frames else None
