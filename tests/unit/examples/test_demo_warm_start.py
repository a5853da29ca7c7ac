from __future__ import annotations

import demo_warm_start
import pytest
import torch

SIZE = 9
PLACE = torch.tensor([[[0.25, 0.75]]])  # x and y: column 2 and row 6 of 9


def heat(row: int, column: int) -> torch.Tensor:
    """Return a map of one landmark with its peak there."""
    drawn = torch.zeros(1, 1, SIZE, SIZE)
    drawn[..., row, column] = 10
    return drawn


@pytest.mark.parametrize(("row", "column"), [(2, 6), (5, 2), (6, 3), (0, 0)])
def test_surprise_is_least_where_the_landmark_is(row: int, column: int) -> None:
    least = demo_warm_start._surprise(heat(6, 2), PLACE)

    assert least < demo_warm_start._surprise(heat(row, column), PLACE)
