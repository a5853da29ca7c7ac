"""Names and texts as the data sets' own pages describe them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["LISTS", "MEETING", "PARADE", "WriteImage", "pts_text"]

WriteImage = Callable[[Path], NDArray[np.uint8]]
LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
PARADE = "0--Parade/0_Parade_marchingband_1_116.jpg"
MEETING = "11--Meeting/11_Meeting_Meeting_11_Meeting_Meeting_11_10.jpg"


def pts_text(first: float = 1.0, *, count: int = 68, said: int = 68) -> str:
    """Return a ``.pts`` file as iBUG writes them, whose landmarks are (first + i, 2 i + 1)."""
    rows = "".join(f"{first + i:.6f} {2 * i + 1:.6f}\n" for i in range(count))
    return f"version: 1\nn_points:  {said}\n{{\n{rows}}}\n"
