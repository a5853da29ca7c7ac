"""Which boundary edge of the face each landmark lies on, for the landmark sets of the authors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["edge_table", "is_known_edge_table"]

# First and last landmark of the runs that an edge passes, in the order of the network's edge maps.
# Source: SPEC 2.4; a run of one landmark closes a contour.
_WFLW_98 = (
    ((0, 32),),
    ((33, 37),),
    ((33, 33), (38, 41)),
    ((42, 46),),
    ((46, 50),),
    ((51, 54),),
    ((55, 59),),
    ((60, 64),),
    ((60, 60), (64, 67)),
    ((68, 72),),
    ((68, 68), (72, 75)),
    ((76, 82),),
    ((76, 76), (82, 87)),
    ((88, 92),),
    ((88, 88), (92, 95)),
)
_IBUG_68 = (
    ((0, 16),),
    ((17, 21),),
    ((22, 26),),
    ((27, 30),),
    ((31, 35),),
    ((36, 39),),
    ((36, 36), (39, 41)),
    ((42, 45),),
    ((42, 42), (45, 47)),
    ((48, 54),),
    ((48, 48), (54, 59)),
    ((60, 64),),
    ((60, 60), (64, 67)),
)
_RUNS = {(98, len(_WFLW_98)): _WFLW_98, (68, len(_IBUG_68)): _IBUG_68}


def edge_table(landmark_count: int, edge_count: int) -> Tensor:
    """Return which landmarks lie on which edges.

    Args:
        landmark_count: N.
        edge_count: E.

    Returns:
        ``(N, E + 1)`` float32, 0 or 1; the last column marks landmarks on no edge. For a landmark
        set that is not known here every landmark is one of those; its checkpoint holds the table.
    """
    table = torch.zeros(landmark_count, edge_count + 1)
    for edge, runs in enumerate(_RUNS.get((landmark_count, edge_count), ())):
        for first, last in runs:
            table[first : last + 1, edge] = 1
    table[:, -1] = (table.sum(dim=1) == 0).float()
    return table


def is_known_edge_table(shape: Sequence[int]) -> bool:
    """Return whether `edge_table` knows the values of a table of that shape."""
    landmark_count, columns = shape
    return (landmark_count, columns - 1) in _RUNS
